/**
 * A console's WebSocket beside a bare TCP proxy in the same process: bytes a second, the round trip of a key, memory.
 * `npm run bench:console`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { log } from "../../runtime/core/log.ts";
import { openAudit } from "../../runtime/http/audit.ts";
import { openLocalStream } from "../../runtime/hypervisor/streams.ts";
import { best, consoleOf, overProxy, roundTrip, throughput } from "./lines.ts";

log.level = "error";
process.env.XDG_STATE_HOME = mkdtempSync(join(tmpdir(), "bench-console-"));
openAudit();
const OPEN = 200;
const overWebSocket = consoleOf((target, signal) =>
  openLocalStream(target, { timeout: 5000, signal }, new Set()),
);

const bare = await best(() => throughput(overProxy), Math.max);
const websocket = await best(() => throughput(overWebSocket), Math.max);
const bareKey = await best(() => roundTrip(overProxy), Math.min);
const key = await best(() => roundTrip(overWebSocket), Math.min);
Bun.gc(true);
const before = process.memoryUsage.rss();
const lines = await Promise.all(Array.from({ length: OPEN }, overWebSocket));
Bun.gc(true);
const each = (process.memoryUsage.rss() - before) / OPEN / 2 ** 20;
for (const line of lines) line.close();

console.log(
  `throughput, best of 5: ${websocket.toFixed(0)} MiB/s; bare proxy ${bare.toFixed(0)} MiB/s (${(websocket / bare).toFixed(2)})`,
);
console.log(
  `round trip of a key, median, best of 5: ${key.toFixed(3)} ms; bare proxy ${bareKey.toFixed(3)} ms`,
);
console.log(`memory for each of ${OPEN} open consoles, both ends: ${each.toFixed(2)} MiB`);
rmSync(process.env.XDG_STATE_HOME, { recursive: true });
process.exit(0);
