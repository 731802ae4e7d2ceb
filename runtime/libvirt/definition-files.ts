/**
 * The files in which libvirt keeps the definitions of domains. It writes each anew with every change, so that their
 * identities tell whether a definition is still the one that was read.
 */
import type { Context } from "../hypervisor/context.ts";
import { listFolders } from "./folder.ts";

export const STORED = "/etc/libvirt/qemu";
const RUNNING = "/run/libvirt/qemu";
/** The daemon's lock: without it this is not the folder of the daemon that virsh talks to. */
const OF_DAEMON = "driver.pid";

/** Identifies a definition by the domain's name; undefined where it must be read. */
export type DefinitionFiles = (name: string, option?: "--inactive") => string | undefined;

/** Where the files cannot be listed, such as for a login user who is not root, nothing is known. */
export async function readDefinitionFiles(
  ctx: Pick<Context, "exec" | "uri">,
): Promise<DefinitionFiles> {
  if (!/^qemu(\+ssh:\/\/[^/]+|:\/\/)\/system(\?(?!.*socket=).*)?$/.test(`${ctx.uri}`))
    return () => undefined;
  const [stored, running] = await listFolders(ctx, [STORED, RUNNING]);
  if (!stored || !running?.files.has(OF_DAEMON)) return () => undefined;
  return (name, option) => {
    const files = [
      stored.files.get(`${name}.xml`),
      ...(option ? [] : [running.files.get(`${name}.xml`)]),
    ];
    const isKnown = files.some(Boolean) && files.every((file) => file?.settled ?? true);
    return isKnown ? files.map((file) => file?.identity).join(" ") : undefined;
  };
}
