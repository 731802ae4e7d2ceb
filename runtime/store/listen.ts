/** LISTEN: what other processes tell through the database. One connection a channel, opened anew when it is lost. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { log } from "../core/log.ts";
import { connectionOptions } from "./database.ts";
import { databaseError } from "./errors.ts";

const RETRY_MS = 1000;

/**
 * Calls `hear` with each payload, and with undefined where some may have been missed: at the begin, and after each
 * lost connection. Resolves, once it listens, to the function that ends it.
 */
export async function listenTo(
  channel: string,
  hear: (payload: string | undefined) => void,
): Promise<() => Promise<void>> {
  let ended = false;
  let client = await open(channel, hear);
  const keep = async () => {
    while (!ended) {
      await lost(client);
      if (ended) return;
      await sleep(RETRY_MS, undefined, { ref: false });
      const next = await open(channel, hear).catch((error) => {
        log.debug({ cause: error }, "the database's notices cannot be heard yet");
      });
      if (next) client = next;
      if (ended) await next?.end();
    }
  };
  void keep();
  return async () => {
    ended = true;
    await client.end().catch(() => {});
  };
}

async function open(channel: string, hear: (payload: string | undefined) => void): Promise<Client> {
  const { Client } = require("pg") as typeof import("pg");
  const client = new Client(await connectionOptions());
  client.on("error", () => {}); // `lost` sees it
  client.on("notification", ({ payload }) => hear(payload));
  try {
    await client.connect();
    await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  } catch (error) {
    void client.end().catch(() => {});
    throw databaseError(error);
  }
  hear(undefined);
  return client;
}

/** Resolves when the connection is gone. A client that is gone already emits nothing more, and cannot be asked. */
async function lost(client: Client): Promise<void> {
  const gone = new Promise<boolean>((resolve) => client.once("end", () => resolve(true)));
  while (!(await Promise.race([gone, sleep(10_000, false, { ref: false })]))) {
    if (
      !(await client.query("SELECT 1").then(
        () => true,
        () => false,
      ))
    )
      return;
  }
}
