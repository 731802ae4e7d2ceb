/** What libvirt has kept of a serial console (`<log file>`). */
import type { Context } from "../hypervisor/context.ts";

const LOG_TIMEOUT_MS = 5000;

/** The end of the log; nothing where it cannot be read. */
export async function readLog(
  ctx: Context,
  path: string | null,
  bytes: number,
  gone: AbortSignal,
): Promise<Buffer> {
  if (path === null) return Buffer.alloc(0);
  const argv = ["tail", "-c", `${bytes}`, "--", path];
  try {
    const signal = AbortSignal.any([gone, AbortSignal.timeout(LOG_TIMEOUT_MS)]);
    const running = await ctx.spawn(argv, { timeout: LOG_TIMEOUT_MS, signal });
    running.stdin.end();
    const pieces: Buffer[] = [];
    running.stdout.on("data", (piece: Buffer) => pieces.push(piece)).resume();
    const { exitCode, stderr } = await running.ended;
    if (exitCode !== 0) ctx.log.info({ path, stderr }, "the console's log cannot be read");
    return Buffer.concat(pieces);
  } catch (error) {
    ctx.log.info({ path, error }, "the console's log cannot be read");
    return Buffer.alloc(0);
  }
}
