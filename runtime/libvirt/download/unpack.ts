/** Compressed downloads are unpacked on the hypervisor, where they lie; the bytes tell how, and not a name. */
import { posix } from "node:path";
import { HyperError } from "../../core/errors.ts";
import type { Progress } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Spawned } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { assertIsolated, isolate } from "../isolation.ts";
import { runProgram } from "../program.ts";
import { refusedImage } from "../storage/import-file.ts";
import { IMAGE_TIMEOUT_MS } from "../storage/volume.ts";

/** The first bytes in hexadecimal, and the program. */
const KINDS: [RegExp, kind: string, program: string][] = [
  [/^fd377a585a00/, "xz", "xz"],
  [/^1f8b08/, "gzip", "gzip"],
  [/^28b52ffd/, "zstd", "zstd"],
  [/^425a683[1-9]/, "bzip2", "bzip2"],
];

const TOO_LARGE = 96;
const DAMAGED = 97;

/**
 * Replaces the file "image" of a folder by what it holds, zeros as holes, and no more than there is room for if it were
 * without holes: some kilobytes can hold terabytes of zeros. Each second it tells how far it has read. As while it was
 * received, the folder stays only by a word of the server, which then still is there.
 */
const UNPACK = `folder=$1; shift
trap '' PIPE HUP
umask 077
cd -- "$folder" || exit 1
exec 4<&0 5>&1 <image || exit 1
if dd if=/dev/null of=/dev/null bs=512 iflag=fullblock conv=sparse 2>/dev/null
then write() { dd of=whole bs=256k iflag=fullblock conv=sparse status=none; }
else write() { cat >whole; }
fi
limit=$(set -- $(stat -f -c '%a %S' .) && echo $(($1 * $2))) || exit 1
{ cd /; while sleep 1 >/dev/null 4<&- 5>&-; do read -r _ at <"/proc/$$/fdinfo/0" && echo "$at"; done; } 2>/dev/null &
ticker=$!
code=$({ { "$@" 3>&- 4<&- 5>&-; echo $? >&3; } | head -c $((limit + 1)) | write 3>&-; } 3>&1 >/dev/null) || code=
kill $ticker 2>/dev/null
size=$(stat -c %s whole)
if [ -z "$code" ]; then result=1
elif [ "$size" -gt "$limit" ]; then result=${TOO_LARGE}
elif [ "$code" -ge 95 ]; then result=$code
elif [ "$code" != 0 ]; then result=${DAMAGED}
else mv -f whole image && echo done >&5 && read -r word <&4 && [ "$word" = keep ] && exit 0; result=1
fi
cd / && rm -rf -- "$folder"
exit $result`;

/** Prints the path of a program. BusyBox's `command -v` prints the mere name of one that it has itself. */
const FIND = `IFS=:; for dir in $PATH; do [ -x "$dir/$1" ] && printf %s "$dir/$1" && break; done; true`;

/** Resolves to how the file was compressed; undefined for one that was not. */
export async function unpack(
  ctx: Context,
  path: string,
  label: string,
  progress: Progress,
): Promise<string | undefined> {
  const look = ["sh", "-c", `head -c 6 -- "$1" | od -An -v -tx1 | tr -d ' \\n'`, "sh", path];
  const { stdout: head } = await runProgram(ctx, look, {}, "od");
  const [, kind, program] = KINDS.find(([magic]) => magic.test(head)) ?? [];
  if (!kind || !program) return undefined;
  const { stdout } = await runProgram(ctx, ["stat", "-c", "%s", "--", path]);
  const folder = posix.dirname(path);
  const { stdout: file } = await runProgram(ctx, ["sh", "-c", FIND, "sh", program], {}, "sh");
  if (!file) {
    const text = `${label} is compressed with ${kind}, and ${program} is not installed on hypervisor ${ctx.host}`;
    throw new HyperError("unsupported", text);
  }
  const argv = ["sh", "-c", UNPACK, "sh", folder, ...isolate([file, "-dc"], {})];
  const running = await ctx.spawn(argv, { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal, folder });
  tellProgress(running, kind, Number(stdout), progress);
  const result = { stdout: "", ...(await running.ended) };
  if (result.exitCode === 0) return kind;
  if (result.exitCode === TOO_LARGE) {
    const text = `${label}, once it is unpacked, is larger than the space that is free in ${posix.dirname(folder)}`;
    throw new HyperError("no_space", text);
  }
  assertIsolated(program, result);
  if (result.exitCode === DAMAGED)
    throw refusedImage(
      label,
      `is a damaged ${kind} archive: ${result.stderr.trim().split("\n")[0]}`,
    );
  throw programError(`${label}: unpacking it`, result);
}

/** Listens to the script, and says the word at its end. */
function tellProgress({ stdout, stdin }: Spawned, kind: string, total: number, progress: Progress) {
  let rest = "";
  stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const bytes = Number(line);
      if (line === "done") stdin.end("keep\n");
      else progress({ phase: `unpacking ${kind}`, percent: (bytes / total) * 100, bytes, total });
    }
  });
  stdout.resume(); // over SSH it stands still until then
}
