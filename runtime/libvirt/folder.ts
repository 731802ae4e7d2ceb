/**
 * The files in the folders of pools, each with an identity that changes whenever its content, size or mode does. All
 * folders are listed by one process.
 */
import type { Context } from "../hypervisor/context.ts";

export interface FileIdentity {
  /** Types, blocks, time of change in ns, device, inode, size, mode and owner. */
  identity: string;
  isRegular: boolean;
  isLink: boolean;
  /** Taken on the disk. */
  bytes: number;
  /**
   * A later change of the file shows in its identity: not so for a link, whose target may change, and for a file that
   * has just changed, which may change once more within the same tick of the clock.
   */
  settled: boolean;
}

export interface Folder {
  /** With every symbolic link resolved. */
  realPath: string;
  /** By name. */
  files: Map<string, FileIdentity>;
}

/** The clock's resolution of the coarsest file systems. */
const TICK_SECONDS = 2;

/** On these a change of another machine shows at once; a network's would be seen late. */
const LOCAL = /^(ext[234]|xfs|btrfs|zfs|f2fs|bcachefs|jfs|reiserfs|tmpfs|overlay)$/;

/**
 * Prints the folder's real path, three fields for each file, and an empty one and find's exit code after each folder.
 * A line break at the end of the folder's name would be lost; then nothing is known of it.
 */
const LIST = [
  "printf '%s\\0' \"$(date +%s)\"",
  'for folder; do printf "%s\\0" "$(cd -P -- "$folder" && pwd -P)"; find -H "$folder" -mindepth 1 -maxdepth 1' +
    " -printf '%f\\0%y%Y:%b:%C@:%D:%i:%s:%m:%U:%G\\0%F\\0'; printf '\\0%s\\0' $?; done",
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
    const files: Folder["files"] = new Map();
    const realPath = fields[at++] ?? "";
    let isLocal = now > 0 && /^\/.*[^\n]$/s.test(realPath);
    for (; fields[at]; at += 3) {
      const [name = "", identity = "", type = ""] = fields.slice(at, at + 3);
      const [kind, blocks, changed] = identity.split(":");
      files.set(name, {
        ...{ identity, isRegular: kind?.[0] === "f", isLink: kind?.[0] === "l" },
        bytes: Number(blocks) * 512,
        settled: kind?.[0] !== "l" && Number(changed) < now - TICK_SECONDS,
      });
      isLocal &&= LOCAL.test(type) && !name.includes("\uFFFD");
    }
    const complete = fields[at + 1] === "0";
    at += 2;
    return complete && isLocal ? { realPath, files } : undefined;
  });
}
