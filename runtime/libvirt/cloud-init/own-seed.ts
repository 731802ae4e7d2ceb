/** Whose a seed is: a guest that has one could read its secrets. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readChanged } from "../definitions.ts";
import { foreignImage, shownTo } from "../shown-domains.ts";
import type { Storage } from "../storage/usage.ts";
import { lines } from "../virsh-output.ts";
import { parseXml, textOf } from "../xml.ts";
import { readSeedMark, type SeedMark } from "./attach-seed.ts";
import { domainOfSeed } from "./seed.ts";

type Place = Parameters<Storage["disksUsing"]>[0];

/**
 * Throws `forbidden` if one of the images is the seed of a domain that is not the caller's. The domains that have the
 * seed decide, since a renamed domain keeps it under the name from before; the seed's name decides where none has it.
 */
export async function assertOwnSeeds(ctx: Context, storage: Storage, images: Place[]) {
  if (!ctx.caller.domains || images.length === 0) return;
  const marks = await readMarks(ctx);
  const { real } = storage;
  const resolved = (path: string) => real.get(path) ?? path;
  for (const image of images) {
    const owners = marks.filter(
      ({ seed }) =>
        resolved(seed.path) === resolved(image.path) ||
        (seed.pool === image.pool && seed.volume === image.name),
    );
    const named = domainOfSeed(image.name) ?? domainOfSeed(resolved(image.path));
    if (owners.length === 0 && named === undefined) continue;
    const users = [...owners, ...storage.disksUsing(image)].map(({ domain }) => domain);
    const domains = users.length > 0 ? users : [`${named}`];
    await ctx.rights.lookUp(ctx.host, [...new Set(domains)]); // nobody has named them
    if (shownTo(ctx, domains).length < domains.length) throw foreignImage(ctx, image.name);
  }
}

/** The seeds of all domains, those that were ejected among them. Throws where a definition cannot be read. */
async function readMarks(ctx: Context): Promise<{ domain: string; seed: SeedMark }[]> {
  const ids = lines(await ctx.virsh(["list", "--all", "--uuid"]));
  const read = await readChanged(ctx, ids);
  return read.flatMap((definition) => {
    if (definition instanceof HyperError && definition.code === "not_found") return []; // it has gone
    if (definition instanceof HyperError) throw definition;
    if (!definition.text.includes("hypersdk:seed")) return [];
    const domain = parseXml(definition.text, "domain");
    const seed = readSeedMark(domain);
    return seed ? [{ domain: textOf(domain, "name") ?? "", seed }] : [];
  });
}
