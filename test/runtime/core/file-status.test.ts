/** The status of a file is the same before and after node:fs is loaded. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { fileStatus } from "../../../runtime/core/file-status.ts";

const folder = mkdtempSync(join(tmpdir(), "file-status-"));
const file = join(folder, "file");
writeFileSync(file, "four");
vi.useFakeTimers({ toFake: ["setTimeout"] });
afterAll(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

describe.each(["before node:fs is loaded", "after it"])("%s", (when) => {
  beforeAll(() => {
    if (when === "after it") vi.advanceTimersByTime(1000);
  });

  test("a file", async () => {
    const { ino, ctimeMs, size, mode, uid } = statSync(file);
    expect(await fileStatus(file)).toMatchObject({ ino, ctimeMs, size, mode, uid });
  });

  test("no file, and no folder", async () => {
    expect(await fileStatus(join(folder, "none"))).toBeUndefined();
    expect(await fileStatus(join(folder, "none/none"))).toBeUndefined();
  });

  test("what cannot be determined is an error", async () => {
    await expect(fileStatus(join(file, "none"))).rejects.toThrow("ENOTDIR");
  });
});
