/**
 * The files in the folders of pools, each with an identity that changes whenever its content, size or mode does. All
 * folders are listed by one process.
 */
import type { Context } from "../hypervisor/context.ts";

export interface FileIdentity {
  /** Type, blocks, device, inode, size, time of change in ns, mode and owner; a link stands for its target. */
  identity: string;
  isRegular: boolean;
  /** Taken on the disk. */
  bytes: number;
  /**
   * A later change of the file shows in its identity. A file that has just changed may change once more within the
   * same tick of the clock.
   */
  settled: boolean;
}

/** By name. */
export type Folder = Map<string, FileIdentity>;

/** The clock's resolution of the coarsest file systems. */
const TICK_SECONDS = 2;

/** On these a change of another machine shows at once; a network's would be seen late. */
const LOCAL = /^(ext[234]|xfs|btrfs|zfs|f2fs|bcachefs|jfs|reiserfs|tmpfs|overlay)$/;

/** Prints three fields for each file, and an empty one and find's exit code after each folder. */
const LIST = [
  "printf '%s\\0' \"$(date +%s)\"",
  'for folder; do find -L "$folder" -mindepth 1 -maxdepth 1' +
    " -printf '%f\\0%Y:%b:%C@:%D:%i:%s:%m:%U:%G\\0%F\\0'; printf '\\0%s\\0' $?; done",
].join("; ");

/** Undefined for a folder whose files cannot all be told, as with the `find` of BusyBox: there nothing is known. */
export async function listFolders(
  ctx: Pick<Context, "exec">,
  folders: string[],
): Promise<(Folder | undefined)[]> {
  if (folders.length === 0) return [];
  const { stdout, exitCode } = await ctx.exec(["sh", "-c", LIST, "sh", ...folders]);
  if (exitCode !== 0) return folders.map(() => undefined);
  const fields = stdout.split("\0");
  const now = Number(fields[0]);
  let at = 1;
  return folders.map(() => {
    const files: Folder = new Map();
    let isLocal = now > 0;
    for (; fields[at]; at += 3) {
      const [name = "", identity = "", type = ""] = fields.slice(at, at + 3);
      const [kind, blocks, changed] = identity.split(":");
      files.set(name, {
        ...{ identity, isRegular: kind === "f", bytes: Number(blocks) * 512 },
        settled: Number(changed) < now - TICK_SECONDS,
      });
      isLocal &&= LOCAL.test(type) && !name.includes("\uFFFD");
    }
    const complete = fields[at + 1] === "0";
    at += 2;
    return complete && isLocal ? files : undefined;
  });
}
