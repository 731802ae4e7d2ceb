/** A picture of a running domain's screen, as PNG. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { failureOf } from "../../hypervisor/outcomes.ts";
import { ppmToPng } from "./ppm.ts";

const TIMEOUT_MS = 30_000;
const MAX_BYTES = 64 * 2 ** 20;

/** virsh opens its output by a path, which has none where it is a socket, as sshd's can be. */
const SCREENSHOT = `{ virsh -q -c "$LIBVIRT_DEFAULT_URI" screenshot --domain "$1" --screen "$2" --file /dev/stdout; } | cat`;

const PNG = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");

/** `screen`: the number of a graphics card. Throws `unsupported` for a domain that has none. */
export async function screenshot(
  ctx: Context,
  ref: string,
  screen: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const words = ["screenshot", "--domain", ref, "--screen", `${screen}`];
  const argv = ["sh", "-c", SCREENSHOT, "sh", ref, `${screen}`];
  const running = await ctx.spawn(argv, { timeout: TIMEOUT_MS, signal: ctx.signal });
  running.stdin.end();
  const pieces: Buffer[] = [];
  let size = 0;
  running.stdout.on("data", (piece: Buffer) => {
    size += piece.length;
    if (size <= MAX_BYTES) pieces.push(piece);
    else
      running.kill(
        new HyperError("command_failed", `the picture has more than ${MAX_BYTES} bytes`),
      );
  });
  running.stdout.resume(); // over SSH it is paused until somebody reads
  const { stderr } = await running.ended;
  if (size === 0 || /^error: /m.test(stderr)) throw failureOf(stderr, words);
  return toPng(Buffer.concat(pieces));
}

/** QEMU before 7.1 makes PPM. */
async function toPng(bytes: Buffer): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes.subarray(0, PNG.length).equals(PNG)) return new Uint8Array(bytes);
  if (bytes.subarray(0, 2).toString() === "P6") return ppmToPng(bytes);
  throw new HyperError("unsupported", "the hypervisor's picture is neither PNG nor PPM");
}
