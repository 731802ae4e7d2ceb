/** What the source does once the domain is whole on the other side; a failure is told, and takes nothing back. */
import type { HyperError } from "../../core/errors.ts";
import type { Sides } from "./sides.ts";
import type { MigrateWish } from "./wish.ts";

/** What goes with a definition. On storage that both see, the other side uses the same files. */
export const undefineFlags = (isShared: boolean) => [
  ...["--managed-save", "--snapshots-metadata", "--checkpoints-metadata"],
  ...(isShared ? ["--keep-nvram", "--keep-tpm"] : ["--nvram"]),
];

/** Resolves to warnings. */
export async function releaseSource(
  sides: Sides,
  { undefine_source: undefine, live, persistent: isKept }: MigrateWish,
): Promise<string[]> {
  const { source, target, uuid, name, autostart, persistent } = sides;
  if (!persistent) return []; // it has gone by itself
  if (!undefine) {
    const start = `start it on one of the two only`;
    return [`domain ${name} is defined on ${source.host} and on ${target.host}; ${start}`];
  }
  const warnings: string[] = [];
  const told = (what: string) => (error: HyperError) =>
    void warnings.push(`${what}: ${error.message}`);
  const flags = undefineFlags(sides.route.copy_storage === "none");
  await source
    .virsh(["undefine", "--domain", uuid, ...flags])
    .catch(told(`${source.host} still has the domain, too`));
  if (autostart && warnings.length === 0 && (isKept || !live))
    await target
      .virsh(["autostart", "--domain", uuid])
      .catch(told(`it does not start with ${target.host}`));
  return warnings;
}
