/**
 * Where hypervisors that were added are kept: in the database that `[database] url` names, for all servers on it; else in
 * a file of this user's, as the private database is this user's, too.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";
import { HyperError, inputError } from "../core/errors.ts";
import { withFileLock } from "../core/file-lock.ts";
import { fileStatus } from "../core/file-status.ts";
import { log } from "../core/log.ts";
import { stateFolder } from "../core/paths.ts";
import { settings } from "../core/settings.ts";
import { query } from "../store/database.ts";
import { type AddedHost, applyHosts } from "./added-hosts.ts";
import { beforeClose } from "./registry.ts";

/** Another server on the database may have added one. */
const LOOK_MS = 3000;

const Kept = z.strictObject({
  hosts: z.array(z.strictObject({ alias: z.string(), uri: z.string(), sudo: z.boolean() })),
});

const fileOf = () => `${stateFolder()}/hosts.json`;

async function readKept(): Promise<AddedHost[]> {
  if (settings().database.url)
    return (await query<AddedHost>("SELECT alias, uri, sudo FROM host ORDER BY alias")).rows;
  const path = fileOf();
  if (!(await fileStatus(path))) return [];
  const { success, data, error } = Kept.safeParse(parse(readFileSync(path, "utf8")));
  if (success) return data.hosts;
  throw new HyperError("function_unavailable", `${path}: ${inputError(error).message}`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // which the schema refuses
  }
}

/** Replaced as a whole, under a lock: of two servers that add one at once neither loses it. URIs may name the paths of keys. */
async function changeFile(change: (hosts: AddedHost[]) => AddedHost[]) {
  const path = fileOf();
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  await withFileLock(path, "hypervisors", async () => {
    const hosts = change(await readKept());
    writeFileSync(`${path}.new`, `${JSON.stringify({ hosts }, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  });
}

/** Reads and changes of this process, one after the other. */
let last: Promise<unknown> = Promise.resolve();

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const result = last.then(work);
  last = result.catch(() => {});
  return result;
}

/** Throws `already_exists`. */
export const keepHost = (host: AddedHost, who: string) =>
  inTurn(async () => {
    const { alias, uri, sudo } = host;
    const taken = () => new HyperError("already_exists", `name: there is a hypervisor ${alias}`);
    if (Object.hasOwn(settings().hosts, alias)) throw taken();
    if (settings().database.url) {
      const insert = `INSERT INTO host (alias, uri, sudo, created_by) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING RETURNING alias`;
      if ((await query(insert, [alias, uri, sudo, who])).rows.length === 0) throw taken();
    } else
      await changeFile((kept) => {
        if (kept.some((one) => one.alias === alias)) throw taken();
        return [...kept, { alias, uri, sudo }];
      });
    await applyHosts(await readKept());
  });

export const forgetHost = (alias: string) =>
  inTurn(async () => {
    if (settings().database.url) await query("DELETE FROM host WHERE alias = $1", [alias]);
    else await changeFile((kept) => kept.filter((one) => one.alias !== alias));
    await applyHosts(await readKept());
  });

/** What another server has changed is so here, too. */
export const lookAtHosts = () => inTurn(async () => applyHosts(await readKept()));

/** From now on, until all hypervisors are closed. What is in a file is there when this resolves. */
export async function followKeptHosts() {
  let problem: string | undefined;
  const tryLook = () =>
    lookAtHosts().then(
      () => (problem = undefined),
      (error: Error) => {
        if (problem !== error.message)
          log.warn({ cause: error }, "added hypervisors are not known now");
        problem = error.message;
      },
    );
  const first = tryLook();
  let looking: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    looking ??= tryLook().finally(() => (looking = undefined));
  }, LOOK_MS).unref();
  beforeClose((only) => only === undefined && clearInterval(timer));
  if (!settings().database.url) await first;
}
