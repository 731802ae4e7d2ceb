/** The connections of one process: how many wait for each other, and for what. */
import { rmSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { query, transaction } from "../../../runtime/store/database.ts";
import { closeDatabase } from "../../../runtime/store/state.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";

const state = folderOf(me());
process.env.XDG_STATE_HOME = state;
afterAll(async () => {
  await closeDatabase();
  rmSync(state, { recursive: true });
});

test("many transactions at once that each wait for a statement outside do not wait for each other", {
  timeout: slow(120_000),
}, async () => {
  const one = () =>
    transaction(async (client) => {
      await client.query("SELECT 1");
      return (await query<{ two: number }>("SELECT 2 AS two")).rows[0]?.two;
    });
  const answers = await Promise.all(Array.from({ length: 30 }, one));
  expect(new Set(answers)).toEqual(new Set([2]));
});

test("a transaction for which no connection becomes free says so, and the next one has one", {
  timeout: slow(60_000),
}, async () => {
  const ends: (() => void)[] = [];
  const held = Array.from({ length: 4 }, () =>
    transaction(() => new Promise<void>((resolve) => ends.push(resolve))),
  );
  await expect(transaction(async () => {})).rejects.toMatchObject({
    code: "function_unavailable",
    message: expect.stringMatching(/none of its connections was free for 10 s/),
  });
  for (const end of ends) end();
  await Promise.all(held);
  await transaction(async (client) => client.query("SELECT 1"));
});
