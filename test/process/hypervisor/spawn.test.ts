/** Programs whose input and output are streams, on this machine: how they are fed, read and ended. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { outputOf, sendBytes } from "../../../runtime/hypervisor/byte-flow.ts";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import { programError } from "../../../runtime/hypervisor/virsh-errors.ts";
import { until } from "../../fixtures/fake.ts";

const folder = mkdtempSync(join(tmpdir(), "spawn-"));
const transport = localTransport("test:///default");
afterAll(() => rmSync(folder, { recursive: true }));

const MIB = 2 ** 20;
const { signal } = new AbortController();
const start = (script: string, options: { timeout?: number; signal?: AbortSignal } = {}) =>
  transport.spawn(["sh", "-c", script, "sh", folder], { timeout: 60_000, ...options });

/** So many pieces of a MiB, each of one byte's value. */
function pieces(count: number, fail?: Error) {
  let made = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(out) {
        if (made === count && fail) return out.error(fail);
        if (made === count) return out.close();
        out.enqueue(new Uint8Array(MIB).fill(made++));
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, made: () => made };
}

test("every byte goes in, and its input ends when it is told", async () => {
  const running = await start('cat >"$1/all"; sha256sum <"$1/all"');
  let seen = 0;
  const onChunk = (chunk: Uint8Array) => {
    seen += chunk.length;
  };
  expect(await sendBytes(pieces(20).stream, running, { onChunk, signal })).toBe(true);
  running.stdin.end("end");
  let text = "";
  for await (const piece of running.stdout) text += piece;
  expect(await running.ended).toEqual({ exitCode: 0, stderr: "" });
  const written = readFileSync(join(folder, "all"));
  expect([written.length, seen]).toEqual([20 * MIB + 3, 20 * MIB]);
  expect([written[0], written[19 * MIB], `${written.subarray(-3)}`]).toEqual([0, 19, "end"]);
  expect(text).toMatch(/^[0-9a-f]{64}/);
});

test("no more is asked of the source than the program takes", async () => {
  const running = await start('until [ -e "$1/go" ]; do sleep 0.01; done; cat >/dev/null');
  const source = pieces(500);
  const sent = sendBytes(source.stream, running, { signal });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(source.made()).toBeLessThan(20);
  const go = await start('touch "$1/go"');
  go.stdin.end();
  go.stdout.resume();
  expect(await sent).toBe(true);
  running.kill(new Error("enough"));
});

test("a program that ends early: no more is sent, and its words tell why", async () => {
  const running = await start(
    "head -c 1000 >/dev/null; echo 'No space left on device' >&2; exit 3",
  );
  running.stdout.resume();
  expect(await sendBytes(pieces(500).stream, running, { signal })).toBe(false);
  expect(await running.ended).toEqual({ exitCode: 3, stderr: "No space left on device\n" });
});

test("a source that breaks is the caller's error, and the program is left to them", async () => {
  const running = await start("cat >/dev/null; echo over");
  const broken = sendBytes(pieces(3, new Error("torn")).stream, running, { signal });
  await expect(broken).rejects.toThrow("torn");
  running.stdin.end();
  running.stdout.resume();
  expect((await running.ended).exitCode).toBe(0);
});

test("the signal ends the flow, and a program that was given it", async () => {
  const abort = new AbortController();
  const running = await start("sleep 100 | cat", { signal: abort.signal });
  const sent = sendBytes(pieces(500).stream, running, { signal: abort.signal });
  setTimeout(() => abort.abort(), 100);
  await expect(sent).rejects.toMatchObject({ code: "cancelled" });
  await expect(running.ended).rejects.toMatchObject({ code: "cancelled" });
});

test("a timeout ends it with all that it has started", async () => {
  const running = await start('(sleep 2; touch "$1/late") & sleep 100', { timeout: 300 });
  await expect(running.ended).rejects.toMatchObject({
    code: "timed_out",
    message: "sh took longer than 0.3 s",
  });
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(existsSync(join(folder, "late"))).toBe(false);
});

test("a program that is not there", async () => {
  const started = transport.spawn(["no-such-program"], { timeout: 1000 });
  await expect(started).rejects.toMatchObject({ code: "unsupported" });
});

test("its output: exactly so many bytes, and an error for fewer", async () => {
  const failed = (result: { exitCode: number; stderr: string }) => programError("reading", result);
  const read = async (script: string, size: number) => {
    const stream = outputOf(await start(script), size, failed);
    return Buffer.from(await new Response(stream).arrayBuffer());
  };
  expect(await read("head -c 3000000 /dev/zero", 3_000_000)).toHaveLength(3_000_000);
  expect(await read("yes", 1_000_000)).toHaveLength(1_000_000);
  expect(await read("true", 0)).toHaveLength(0);
  const short = read("head -c 10 /dev/zero; echo 'Input/output error' >&2; exit 1", 11);
  await expect(short).rejects.toMatchObject({ message: "reading: Input/output error" });
});

test("a program that ends while its reader is busy: nothing is lost", async () => {
  const running = await start("head -c 400000 /dev/zero");
  const reader = outputOf(running, 400_000, (result) =>
    programError("reading", result),
  ).getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(bytes).toBe(400_000);
});

test("a reader who wants no more ends it", async () => {
  const running = await start('yes; touch "$1/after"');
  const reader = outputOf(
    running,
    Number.MAX_SAFE_INTEGER,
    () => new HyperError("internal", ""),
  ).getReader();
  await reader.read();
  await reader.cancel();
  let isOver = false;
  running.ended.catch(() => {
    isOver = true;
  });
  await until(() => isOver);
  expect(existsSync(join(folder, "after"))).toBe(false);
});
