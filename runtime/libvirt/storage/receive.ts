/** Bytes of the caller's, or of a download, become a file of the login user's on the hypervisor, wholly or not at all. */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { BytesIn } from "../../core/bytes.ts";
import { HyperError } from "../../core/errors.ts";
import type { Progress } from "../../core/progress.ts";
import { sendBytes } from "../../hypervisor/byte-flow.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Spawned } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { assertSpace, type Staging } from "./staging.ts";
import { IMAGE_TIMEOUT_MS } from "./volume.ts";

/**
 * Writes its input to a file in a new folder, zeros as holes. The end of the input may be that of the server or of the
 * connection, after which nobody else could remove the folder: only a word that the server alone knows makes it stay.
 * Then nobody reads what it says, either, which must not end it. BusyBox's dd knows no holes.
 */
const RECEIVE = `folder=$1 word=$2 file=$1/image
trap '' PIPE HUP
umask 077
if dd if=/dev/null of=/dev/null bs=512 iflag=fullblock conv=sparse 2>/dev/null
then write() { dd of="$file" bs=256k iflag=fullblock conv=sparse status=none; }
else write() { cat >"$file"; }
fi
if mkdir -- "$folder" && write; then
  size=$(($(stat -c %s -- "$file") - \${#word}))
  [ "$size" -ge 0 ] && [ "$(tail -c \${#word} -- "$file" | tr -d '\\0')" = "$word" ] &&
    truncate -s "$size" -- "$file" && exit 0
fi
rm -rf -- "$folder"
exit 1`;

/** Pieces have some 64 KiB. */
const TELL_BYTES = 4 * 2 ** 20;
/** For the script to remove what it has. */
const END_TIMEOUT_MS = 10_000;

interface Wanted extends Staging {
  /** Of all bytes, in hexadecimal. */
  sha256?: string | undefined;
  progress: Progress;
  /** The field of the input that the bytes come from. @default "body" */
  field?: string;
  /** @default "receiving" */
  phase?: string;
}

/** Resolves to the path of the file, in its folder, which the journal has. */
export async function receiveBytes(
  ctx: Context,
  journal: Pick<Journal, "track">,
  body: BytesIn,
  wanted: Wanted,
): Promise<string> {
  const { folder, sha256, progress, field = "body", phase = "receiving" } = wanted;
  const { size: total } = body;
  if (total === 0) throw new HyperError("invalid_input", `${field}: is empty`);
  if (total !== undefined) assertSpace(wanted, total, field);
  const word = randomBytes(32).toString("hex");
  const argv = ["sh", "-c", RECEIVE, "sh", folder, word];
  const running = await journal.track({ kind: "folder", path: folder }, () =>
    ctx.spawn(argv, { timeout: IMAGE_TIMEOUT_MS, folder }),
  );
  running.stdout.resume(); // it says nothing, and has ended once that was read
  const hash = sha256 === undefined ? undefined : createHash("sha256");
  let [bytes, told] = [0, 0];
  const onChunk = (chunk: Uint8Array) => {
    hash?.update(chunk);
    bytes += chunk.length;
    if (bytes < told + TELL_BYTES) return;
    told = bytes;
    const percent = total === undefined ? null : (bytes / total) * 100;
    progress({ phase, percent, bytes, ...(total !== undefined && { total }) });
  };
  try {
    const isTaken = await sendBytes(body.stream(), running, { onChunk, signal: ctx.signal });
    if (isTaken) assertRight({ field, bytes, total, digest: hash?.digest("hex"), sha256 });
    if (isTaken) running.stdin.end(word);
  } catch (error) {
    await endEarly(running);
    throw error instanceof HyperError ? error : gone(field, error);
  }
  const result = await running.ended;
  if (result.exitCode !== 0) throw programError(`${field}: writing the image`, result);
  ctx.log.info(`${bytes} bytes were received into ${folder}.`);
  return `${folder}/image`;
}

interface Received {
  field: string;
  bytes: number;
  total: number | undefined;
  digest: string | undefined;
  sha256: string | undefined;
}

function assertRight({ field, bytes, total, digest, sha256 }: Received) {
  if (bytes === 0) throw new HyperError("invalid_input", `${field}: is empty`);
  if (total !== undefined && bytes !== total)
    throw new HyperError("invalid_input", `${field}: has ${bytes} bytes in place of ${total}`);
  if (digest === sha256?.toLowerCase()) return;
  throw new HyperError("invalid_input", `sha256: that of the ${field} is ${digest}, not ${sha256}`);
}

/** The script removes its folder at the end of its input; one that hangs is ended, and its folder is the rollback's. */
async function endEarly({ stdin, ended, kill }: Spawned) {
  stdin.end();
  const late = sleep(END_TIMEOUT_MS, undefined, { ref: false });
  await Promise.race([ended.catch(() => {}), late]);
  kill(new HyperError("cancelled", "the stream was cut off"));
}

/** Bun's error of a body whose connection was closed, or an error of the caller's own stream. */
const gone = (field: string, cause: unknown) =>
  new HyperError("cancelled", `${field}: its stream broke off before its end`, { cause });
