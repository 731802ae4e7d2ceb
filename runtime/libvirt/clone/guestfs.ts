/** virt-sysprep and virt-customize: work within a domain's disks, in a virtual machine of libguestfs's. */
import { randomUUID } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import type { Copy } from "./plan.ts";

/** It works on big images too, and the machine may have to be emulated. */
const TIMEOUT = 2 * 3600 * 1000;

/** Throws `unsupported` before anything is made, rather than in the middle. */
export async function needProgram({ exec, host }: Context, program: string, field: string) {
  if ((await exec(["sh", "-c", 'command -v "$1"', "sh", program])).exitCode === 0) return;
  const text = `${field} needs ${program} on hypervisor ${host}; install its package "libguestfs-tools"`;
  throw new HyperError("unsupported", text);
}

/**
 * Stands before libguestfs's QEMU, which stops when a disk cannot grow and is waited for without end: the
 * first disk error is kept and ends it. Also removes root's socket, which is in /tmp whatever the environment
 * says, as soon as it is connected: cut off later, nothing is left outside the folder.
 */
const QEMU = `#!/bin/sh
folder=\${0%/*}
for word; do
  case $word in *path=*/libguestfs*/guestfsd.sock*) word=\${word#*path=} socket=\${word%%,*};; esac
done
case $* in *id=hd0,*)
  mkfifo -m 600 "$folder/events.in" "$folder/events.out"
  { read -r greeting
    [ "$socket" ] && rm -f "$socket" && rmdir "\${socket%/*}"
    echo '{"execute":"qmp_capabilities"}' >"$folder/events.in"
    grep -m 1 BLOCK_IO_ERROR >"$folder/error" && kill -9 $$; } <"$folder/events.out" >/dev/null 2>&1 &
  set -- "$@" -chardev "pipe,id=events,path=$folder/events" -mon chardev=events,mode=control
esac
exec "$folder/qemu" "$@"
`;

/** Where that cannot be run, on a /tmp without programs, libguestfs is left as it is. */
const PREPARE = `mkdir -m 700 "$1" || exit
for qemu in "$LIBGUESTFS_HV" "/usr/bin/qemu-system-$(uname -m)" /usr/libexec/qemu-kvm /usr/bin/qemu-kvm; do
  [ -x "$qemu" ] && ln -s "$qemu" "$1/qemu" && break
done
cat >"$1/hv" && chmod 700 "$1/hv"`;

/** Through cat: what is written to a process here is a socket, which no program can open as /dev/stdin. */
const RUN = `[ -x "$LIBGUESTFS_TMPDIR/hv" ] && [ -x "$LIBGUESTFS_TMPDIR/qemu" ] &&
  export LIBGUESTFS_HV="$LIBGUESTFS_TMPDIR/hv"
cat | "$@"`;

/** `commands`, if any, are read as lines, so no secret is in an argv. */
export async function runGuestfs(
  ctx: Context,
  journal: Pick<Journal, "track">,
  program: string,
  disks: Copy[],
  options: string[],
  commands = "",
) {
  const images = disks.flatMap(({ path, format }) => ["--format", format, "-a", path]);
  // cut off, libguestfs leaves its temporary files: here they can be found and removed
  const folder = `/tmp/hypersdk-${randomUUID()}`;
  await journal.track({ kind: "folder", path: folder }, () =>
    run(ctx, ["sh", "-c", PREPARE, "sh", folder], QEMU),
  );
  const places = [`LIBGUESTFS_TMPDIR=${folder}`, `XDG_RUNTIME_DIR=${folder}`];
  const env = ["env", "LIBGUESTFS_BACKEND=direct", ...places];
  const argv = [...env, "sh", "-c", RUN, "sh", program, "--quiet", ...images, ...options];
  const limits = { timeout: TIMEOUT, signal: ctx.signal, input: commands };
  const done = await ctx.exec(argv, limits);
  const { stdout: error } = await ctx.exec(["cat", `${folder}/error`]);
  const [, reason] = error.match(/"reason": "([^"]*)"/) ?? [];
  if (reason) throw programError(program, { stderr: `the disk: ${reason}`, exitCode: 1 });
  if (done.exitCode !== 0) throw programError(program, done);
  await run(ctx, ["rm", "-rf", "--", folder]);
}

async function run({ exec }: Context, argv: string[], input = "") {
  const done = await exec(argv, { input });
  if (done.exitCode !== 0) throw programError(argv[0] ?? "", done);
}
