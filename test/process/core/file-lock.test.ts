/** Changes of one file by several processes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withFileLock } from "../../../runtime/core/file-lock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lock-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const lockOf = join(import.meta.dirname, "../../../runtime/core/file-lock.ts");

/** A process that has the lock and says so, and keeps it for so long. */
async function holder(ms: number) {
  const script = `
    const { withFileLock } = await import(${JSON.stringify(lockOf)});
    await withFileLock(process.argv.at(-1), "tokens", async () => {
      console.log("held");
      await Bun.sleep(${ms});
    });`;
  const child = spawn("bun", ["-e", script, join(folder, "tokens.json")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

test("changes at once are made one after the other, and nobody else may open the lock", async () => {
  const path = join(folder, "count");
  writeFileSync(path, "0");
  const add = () =>
    withFileLock(path, "counts", async () => {
      const count = Number(readFileSync(path, "utf8"));
      await sleep(5);
      writeFileSync(path, `${count + 1}`);
      return count;
    });
  expect((await Promise.all(Array.from({ length: 8 }, add))).sort()).toEqual(
    Array.from({ length: 8 }, (_, n) => n),
  );
  expect(readdirSync(folder).sort()).toEqual(["count", "count.lock"]);
  expect(statSync(`${path}.lock`).mode & 0o777).toBe(0o600);
});

test("another process that holds it for long is told of", async () => {
  const other = await holder(60_000);
  await expect(withFileLock(join(folder, "tokens.json"), "tokens", () => 1)).rejects.toMatchObject({
    code: "busy",
    message: "tokens are being changed by another process",
  });
  other.kill("SIGKILL");
});

test("the lock of a process that was killed is free at once", async () => {
  const other = await holder(60_000);
  other.kill("SIGKILL");
  await once(other, "exit");
  expect(await withFileLock(join(folder, "tokens.json"), "tokens", () => 1)).toBe(1);
});

test("what the work throws is thrown, and the lock is free again", async () => {
  const path = join(folder, "tokens.json");
  const fail = () => {
    throw new Error("no space");
  };
  await expect(withFileLock(path, "tokens", fail)).rejects.toThrow("no space");
  expect(await withFileLock(path, "tokens", () => 1)).toBe(1);
});

test("a folder that is not there is named", async () => {
  await expect(withFileLock(join(folder, "none/file"), "tokens", () => 1)).rejects.toThrow(
    /ENOENT.*none\/file\.lock/,
  );
});
