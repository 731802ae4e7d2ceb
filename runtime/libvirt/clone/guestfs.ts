/** virt-sysprep, virt-customize and virt-v2v: changes within a domain's disks, made in a virtual machine of libguestfs. */
import { randomUUID } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { ExecOptions, ExecResult } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { runProgram } from "../program.ts";
import type { Copy } from "./plan.ts";

/** Images can be large, and libguestfs's machine may have to be emulated. */
const GUESTFS_TIMEOUT_MS = 2 * 3600 * 1000;

/**
 * A wrapper of libguestfs's QEMU. QEMU pauses when a disk cannot grow, and libguestfs then waits without end: the
 * first disk error is kept and ends QEMU. The wrapper also removes libguestfs's socket, which is in /tmp whatever
 * the environment says, as soon as it is connected, so that an interruption leaves nothing outside the folder.
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

/** On a /tmp mounted noexec the wrapper cannot run, and libguestfs uses QEMU directly. */
const PREPARE = `mkdir -m 700 "$1" || exit
for qemu in "$LIBGUESTFS_HV" "/usr/bin/qemu-system-$(uname -m)" /usr/libexec/qemu-kvm /usr/bin/qemu-kvm; do
  [ -x "$qemu" ] && ln -s "$qemu" "$1/qemu" && break
done
cat >"$1/hv" && chmod 700 "$1/hv"`;

/** Standard input passes through cat: it is a socket here, which no program can open as /dev/stdin. */
const RUN = `[ -x "$LIBGUESTFS_TMPDIR/hv" ] && [ -x "$LIBGUESTFS_TMPDIR/qemu" ] &&
  export LIBGUESTFS_HV="$LIBGUESTFS_TMPDIR/hv"
cat | "$@"`;

/** The fields of a request that ask for a program. */
const FIELDS: Record<string, string> = {
  "virt-sysprep": "seal",
  "virt-customize": "customize",
  "virt-v2v-in-place": "drivers",
};

const PHASES: Record<string, string> = {
  "virt-sysprep": "sealing",
  "virt-customize": "customizing",
  "virt-v2v-in-place": "putting drivers in",
};

/**
 * Reads the steps that both programs print, such as "[  12.3] Setting the hostname: web1", without what follows the
 * colon: it can be a command of the caller's, with a password in it.
 */
export function stepReader(onStep: (step: string) => void): NonNullable<ExecOptions["onOutput"]> {
  let rest = "";
  return (text, stream) => {
    if (stream !== "stdout") return;
    const lines = (rest + text).split("\n");
    rest = (lines.pop() ?? "").slice(0, 1000);
    for (const line of lines) {
      const [, step] = /^\[ *\d+\.\d+\] ([^:]+)/.exec(line) ?? [];
      if (step) onStep(step.trim());
    }
  };
}

function guestfsError(program: string, result: ExecResult): HyperError {
  if (!/no operating systems were found/.test(result.stderr)) return programError(program, result);
  const text = `${FIELDS[program] ?? program}: no operating system was found on the disks`;
  return new HyperError("invalid_input", text);
}

/** Runs virt-sysprep or virt-customize. `commands` go through standard input, so no secret is in an argv. */
export function runGuestfs(
  ctx: Context,
  journal: Pick<Journal, "track">,
  program: string,
  disks: Copy[],
  options: string[],
  commands = "",
) {
  const images = disks.flatMap(({ path, format }) => ["--format", format, "-a", path]);
  return runInGuestfs(
    ctx,
    journal,
    { program, argv: [program, ...images, ...options] },
    disks,
    commands,
  );
}

/** Runs any program of libguestfs; in its environment `LIBGUESTFS_TMPDIR` is a folder that goes with it. */
export async function runInGuestfs(
  ctx: Context,
  journal: Pick<Journal, "track">,
  { program, argv: command }: { program: string; argv: string[] },
  disks: Pick<Copy, "path">[],
  input: string,
) {
  // an interrupted libguestfs leaves its temporary files: in this folder they are found and removed
  const folder = `/tmp/hypersdk-${randomUUID()}`;
  await journal.track({ kind: "folder", path: folder }, () =>
    runProgram(ctx, ["sh", "-c", PREPARE, "sh", folder], { input: QEMU }),
  );
  const places = [`LIBGUESTFS_TMPDIR=${folder}`, `XDG_RUNTIME_DIR=${folder}`];
  const env = ["env", "LIBGUESTFS_BACKEND=direct", ...places];
  const argv = [...env, "sh", "-c", RUN, "sh", ...command];
  const phase = PHASES[program] ?? program;
  const onStep = (step: string) => {
    ctx.progress({ phase: `${phase}: ${step}`, percent: null });
    ctx.log.info(`${program}: ${step}`);
  };
  ctx.progress({ phase, percent: null });
  ctx.log.info(`${program} opens ${disks.map(({ path }) => path).join(", ")}.`);
  const onOutput = stepReader(onStep);
  const limits = { timeout: GUESTFS_TIMEOUT_MS, signal: ctx.signal, input, onOutput };
  const result = await ctx.exec(argv, limits);
  const { stdout: event } = await ctx.exec(["cat", `${folder}/error`]);
  const [, reason] = event.match(/"reason": "([^"]*)"/) ?? [];
  if (reason) throw programError(program, { stderr: `the disk: ${reason}`, exitCode: 1 });
  if (result.exitCode !== 0) throw guestfsError(program, result);
  await runProgram(ctx, ["rm", "-rf", "--", folder]);
}
