import type { PoolClient, QueryConfig } from "pg";
import { expect, test } from "vitest";
import { inserting } from "../../../runtime/jobs/boss.ts";

test("the INSERTs of some queues have a name each, by which PostgreSQL plans them once; those of more have none", async () => {
  const sent: QueryConfig[] = [];
  const client = {
    async query(statement: QueryConfig) {
      sent.push(statement);
      return { rows: [] };
    },
  } as unknown as PoolClient;
  const { db } = inserting(client);
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 30; n++) await db.executeSql(`INSERT of queue ${n}`, ["[]"]);
  }
  const names = sent.map(({ name }) => name);
  expect(new Set(names.slice(0, 20)).size).toBe(20);
  expect(names.slice(20, 30)).toEqual(Array(10).fill(undefined));
  expect(names.slice(30)).toEqual(names.slice(0, 30)); // the same text has the same name
  expect(sent[59]).toMatchObject({ text: "INSERT of queue 29", values: ["[]"] });
});
