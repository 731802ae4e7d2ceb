/** Whether a token is still good, asked again and again: also once its file has changed, or its time has come. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { everything } from "../../../runtime/access/caller.ts";
import { createToken, revokeToken } from "../../../runtime/access/token-editor.ts";
import { hashOf, readTokens } from "../../../runtime/access/tokens.ts";
import { checkToken, whileAllowed } from "../../../runtime/http/check-token.ts";
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

test("what is open ends once a query selects other domains, and is asked no more after it was closed", async () => {
  vi.useFakeTimers();
  const held = { ...everything("token", "held"), domains: [], select: "tag:prod" };
  let haveChanged = false;
  let looks = 0;
  const rights = {
    sees: () => true,
    lookUp: async () => {},
    checkAgain: async () => {},
    haveChanged: async () => {
      looks++;
      return haveChanged;
    },
  };
  const ends: string[] = [];
  // the file has no such token: this test is about the query alone
  const open = () => whileAllowed({ caller: held, rights }, ({ message }) => ends.push(message));
  const others = () => ends.filter((why) => why.includes("selects other domains")).length;
  const leave = open();
  await vi.advanceTimersByTimeAsync(4100);
  expect([looks, others()]).toEqual([2, 0]);
  haveChanged = true;
  await vi.advanceTimersByTimeAsync(6000);
  expect([looks, others()]).toEqual([3, 1]);
  leave();
  open()();
  await vi.advanceTimersByTimeAsync(6000);
  expect(looks).toBe(3);
});
