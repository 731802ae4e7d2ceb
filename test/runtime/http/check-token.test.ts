/** Whether a token is still good, asked again and again: also once its file has changed, or its time has come. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { createToken, revokeToken } from "../../../runtime/access/token-editor.ts";
import { hashOf, readTokens } from "../../../runtime/access/tokens.ts";
import { checkToken } from "../../../runtime/http/check-token.ts";
import { noticed } from "../../fixtures/access.ts";

const folder = mkdtempSync(join(tmpdir(), "check-token-"));
const file = join(folder, "hypersdk/tokens.json");
vi.stubEnv("XDG_CONFIG_HOME", folder);
afterEach(() => void vi.useRealTimers());
afterAll(() => rmSync(folder, { recursive: true }));

async function holder(name: string, expires: string | null = null) {
  const token = await createToken({ name, role: "read", expires }, file);
  await noticed();
  return (await readTokens(file)).byHash.get(hashOf(token));
}

test("a token that was found is found again after another was added, and not after it was revoked", async () => {
  const caller = await holder("one");
  await checkToken(caller);
  await checkToken(caller);
  await holder("two");
  await checkToken(caller);
  await revokeToken("one", file);
  await noticed();
  await expect(checkToken(caller)).rejects.toMatchObject({ code: "unauthorized" });
});

test("one that expires meanwhile is refused, though its file is the same", async () => {
  const caller = await holder("short", new Date(Date.now() + 60_000).toISOString());
  await checkToken(caller);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
  await expect(checkToken(caller)).rejects.toMatchObject({ code: "unauthorized" });
});
