/**
 * `npm run bench:hostile` (`--json`, `--quick`): the memory of a server after many hostile requests, on libvirt's test
 * driver. The requests are those of the fuzz test, made from the schemas of all functions.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { HyperFunction } from "../../runtime/function/define.ts";
import { loadFunctions } from "../../runtime/function/load.ts";
import { type Made, requests } from "../fixtures/hostile.ts";
import { startServer, type TestServer } from "../server.ts";
import { report } from "./measure.ts";

const QUICK = process.argv.includes("--quick");
const MARKS = QUICK ? [200, 1000, 3000] : [1000, 2000, 4000, 8000, 12_000];
const CALLERS = 8;
const SAMPLES = 500;
const MAX_RATIO = 1.3;
const checkout = process.argv.slice(2).find((word) => !word.startsWith("--"));

const folder = mkdtempSync(join(tmpdir(), "hostile-"));
const HYPERSDK_CONFIG = join(folder, "hypersdk.toml");
writeFileSync(
  HYPERSDK_CONFIG,
  '[hosts.local]\nuri = "test:///default"\n[limits]\nrate = 1000000\n',
);
const serve = join(checkout ?? join(import.meta.dirname, "../.."), "runtime/serve.ts");
const server = await startServer({ HYPERSDK_CONFIG }, [serve]);

const functions = (await loadFunctions())
  .map((one) => ({
    path: one.path,
    spec: (one.function as HyperFunction).spec,
  }))
  .filter(({ spec }) => spec.stream !== "sse"); // a stream has no end
const one = fc.oneof(...functions.map(({ path, spec }) => requests(path, spec, {})));

async function send({ url }: TestServer, { method, path, query, headers, body }: Made) {
  // a call that the client gives up is hostile too
  const signal = AbortSignal.timeout(5000);
  try {
    const answer = await fetch(`${url}${path}${query}`, { method, headers, body, signal });
    await answer.arrayBuffer();
  } catch {
    // a header that fetch refuses, or the end of its time
  }
}

function rss(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Number(status.match(/^VmRSS:\s+(\d+) kB/m)?.[1]) / 1024;
}

const results: { requests: number; rss_mb: number }[] = [];
let sent = 0;
for (const mark of MARKS) {
  while (sent < mark) {
    const made = fc.sample(one, Math.min(SAMPLES, mark - sent));
    sent += made.length;
    const senders = Array.from({ length: CALLERS }, async () => {
      for (let next = made.pop(); next; next = made.pop()) await send(server, next);
    });
    await Promise.all(senders);
  }
  results.push({ requests: sent, rss_mb: rss() });
}
await server.stop();
rmSync(folder, { recursive: true });
const [first, last] = [results[0]?.rss_mb ?? 0, results.at(-1)?.rss_mb ?? 0];
const ratio = last / first;
report({
  results,
  ratios: [{ "after the last, times after the first": ratio }],
  targets: [
    { target: `memory grows at most ${MAX_RATIO} times`, value: ratio, met: ratio <= MAX_RATIO },
  ],
});
process.exit(0);
