/** The tags of all domains of a hypervisor: those whose definitions have not changed since are not asked for again. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { beforeClose } from "../../hypervisor/registry.ts";
import { readDefinitionFiles } from "../definition-files.ts";
import { listDomains } from "../domain/domain.ts";
import { readTags } from "./tags.ts";

interface Known {
  /** Of libvirt's files before the tags were read. */
  identity: string;
  tags: string[];
}

/** By hypervisor and UUID. */
const known = new Map<string, Map<string, Known>>();

/** Another hypervisor may come by the same name. */
beforeClose((only) => (only === undefined ? known.clear() : known.delete(only)));

/** By name; null where they cannot be read. */
export async function readAllTags(ctx: Context): Promise<Map<string, string[] | null>> {
  const [domains, identityOf] = await Promise.all([
    listDomains(ctx, "--all"),
    readDefinitionFiles(ctx),
  ]);
  const before = known.get(ctx.host);
  const after = new Map<string, Known>();
  const unread: typeof domains = [];
  for (const domain of domains) {
    const last = before?.get(domain.uuid);
    if (last && last.identity === identityOf(domain.name)) after.set(domain.uuid, last);
    else unread.push(domain);
  }
  const read = await readTags(
    ctx,
    unread.map(({ uuid }) => uuid),
  );
  const fresh = new Map(unread.map(({ uuid }, i) => [uuid, read[i]]));
  for (const { uuid, name } of unread) {
    const [tags, identity] = [fresh.get(uuid), identityOf(name)];
    if (Array.isArray(tags) && identity !== undefined) after.set(uuid, { identity, tags });
  }
  known.set(ctx.host, after);
  return new Map(
    domains.map(({ uuid, name }) => {
      const tags = after.get(uuid)?.tags ?? fresh.get(uuid);
      return [name, tags === undefined || tags instanceof HyperError ? null : tags];
    }),
  );
}
