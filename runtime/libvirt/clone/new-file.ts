/** Image files that no pool has, made by path beside the images that they are made from. */
import { posix } from "node:path";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { pathExists } from "../program.ts";
import { mayWrite, needsRoot } from "../storage/image-access.ts";

const TAKEN = 17;
const NOT_OURS = 18;

/** Makes an empty file, never in the place of another or through a link, with the owner and mode of the source. */
const CREATE = `umask 077
if (set -C; : >"$2") 2>/dev/null; then :
elif [ -e "$2" ] || [ -L "$2" ]; then exit ${TAKEN}
else (set -C; : >"$2"); exit 1; fi
owner=$(stat -Lc %u:%g -- "$1") && mode=$(stat -Lc %a -- "$1") || exit
chown "$owner" -- "$2" || exit ${NOT_OURS}
chmod "$mode" -- "$2"`;

/** Throws, before anything is made, if the login user may not make files in the folder of a path. */
export async function assertCreatable(ctx: Context, path: string) {
  const folder = posix.dirname(path);
  if (!(await pathExists(ctx, folder))) {
    const text = `files: ${path} is in no active pool, and its folder does not exist`;
    throw new HyperError("invalid_input", text);
  }
  if (!(await mayWrite(ctx, folder))) throw needsRoot(ctx, `a clone makes ${path}`);
}

/** Makes a file like the source's, which `write` fills. */
export async function makeFile(
  ctx: Context,
  journal: Journal,
  path: string,
  source: string,
  write: () => Promise<unknown>,
) {
  await journal.track({ kind: "file", path }, async () => {
    const made = await ctx.exec(["sh", "-c", CREATE, "sh", source, path]);
    if (made.exitCode === TAKEN) throw new HyperError("already_exists", `${path} already exists`);
    if (made.exitCode === NOT_OURS)
      throw needsRoot(ctx, `a clone gives ${path} the owner of ${source}`);
    if (made.exitCode !== 0) throw programError(`making ${path}`, made);
  });
  await write();
}
