/**
 * The domains of a caller who is limited by a query: those that exist and match it when the call looks. Their tags are
 * read from libvirt each time, since a right that is remembered would outlive its tag.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import {
  type Caller,
  checkDomain,
  checkHost,
  describeCaller,
  isUuid,
} from "../../access/caller.ts";
import type { DomainRights } from "../../access/domain-rights.ts";
import { HyperError, toHyperError } from "../../core/errors.ts";
import { memoize } from "../../core/memoize.ts";
import { type Context, createContext } from "../../hypervisor/context.ts";
import { domainRef } from "../domain/domain.ts";
import { readAllTags } from "./all-tags.ts";
import { mayMatchHost, parseQuery, type Query } from "./query.ts";
import { readTags } from "./tags.ts";

/** A page waits 10 s for a stream to begin, be a hypervisor as far away as it will. */
const TIMEOUT_MS = 8_000;
/** Less than the pause between two looks of a stream, so that none takes what was so when it began. */
const SHARED_MS = 1_000;

/** What is known without QEMU, and what the caller cannot change. */
const FIELDS = ["tag", "host"];

/** All tags of a hypervisor, for the streams that look again and again: they share a look, as many as there are. */
const looks = new Map<string, () => ReturnType<typeof readAllTags>>();

function lookTogether(host: string) {
  const read = () =>
    readAllTags(createContext({ host, signal: AbortSignal.timeout(TIMEOUT_MS + 1000) }));
  const look = looks.get(host) ?? memoize(read, SHARED_MS);
  looks.set(host, look);
  return look();
}

/** The query of a token. Throws `invalid_input` for one that asks about more than tags, or selects domains without any. */
export function parseRights(text: string): Query {
  const query = parse(text);
  const other = [...query.fields].find((field) => !FIELDS.includes(field));
  if (other !== undefined) {
    const allowed = "only tag: and host:, with AND, OR, NOT and parentheses";
    throw new HyperError("invalid_input", `select: a token's query has ${allowed}; not ${other}:`);
  }
  if (query.test({ tags: [] }) === false) return query;
  const why = "would match domains without a tag; write tag: in each of its alternatives";
  throw new HyperError("invalid_input", `select: ${JSON.stringify(text)} ${why}`);
}

function parse(text: string): Query {
  try {
    return parseQuery(text);
  } catch (error) {
    throw new HyperError("invalid_input", `select: ${(error as Error).message}`, { cause: error });
  }
}

export class SelectedDomains implements DomainRights {
  #caller: Caller;
  #query: Query;
  /** Whether a domain is selected, by hypervisor and name. */
  #known = new Map<string, Map<string, boolean>>();
  /** Hypervisors of which all domains were looked up. */
  #whole = new Map<string, Promise<void>>();
  /** What was looked up; no names stand for all. */
  #asked: { host: string; names?: string[] | undefined }[] = [];

  #readAll: (ctx: Context) => ReturnType<typeof readAllTags>;

  constructor(caller: Caller, select: string, readAll = readAllTags) {
    this.#caller = caller;
    this.#query = parseRights(select);
    this.#readAll = readAll;
  }

  sees(host: string, name: string): boolean {
    return this.#known.get(host)?.get(name) === true;
  }

  async lookUp(host: string, names?: string[]) {
    checkHost(this.#caller, host);
    if (!names) {
      const whole = this.#whole.get(host) ?? this.#read(host);
      this.#whole.set(host, whole);
      return whole;
    }
    const known = this.#known.get(host);
    const unknown = names.filter((name) => !known?.has(name) && !isUuid(name));
    if (unknown.length > 0) await this.#read(host, unknown);
  }

  async checkAgain(host: string, name: string, ref = name) {
    const now = new SelectedDomains(this.#caller, this.#query.text);
    await now.#read(host, [ref]);
    checkDomain(this.#caller, name, now.sees(host, ref));
  }

  async haveChanged(): Promise<boolean> {
    const now = new SelectedDomains(this.#caller, this.#query.text, ({ host }) =>
      lookTogether(host),
    );
    await Promise.allSettled(this.#asked.map(({ host, names }) => now.lookUp(host, names)));
    return !isDeepStrictEqual(this.#selected(), now.#selected());
  }

  /** `host/name` of all that are selected. */
  #selected(): Set<string> {
    const all = [...this.#known].flatMap(([host, names]) =>
      [...names].filter(([, isOwn]) => isOwn).map(([name]) => `${host}/${name}`),
    );
    return new Set(all);
  }

  async #read(host: string, names?: string[]) {
    this.#asked.push({ host, names });
    if (!mayMatchHost(this.#query, host)) return;
    const end = new AbortController();
    const ctx = createContext({ host, signal: end.signal });
    try {
      const reading = names ? tagsByName(ctx, names) : this.#readAll(ctx);
      const tags = await Promise.race<Awaited<typeof reading>>([reading, tooLate()]);
      const known = this.#known.get(host) ?? new Map<string, boolean>();
      for (const [name, own] of tags)
        known.set(name, this.#query.test({ host, tags: own }) === true);
      this.#known.set(host, known);
    } catch (error) {
      const { code, message } = toHyperError(error);
      const text = `which domains of ${host} ${describeCaller(this.#caller)} may touch cannot be read: ${message}`;
      throw new HyperError(code, text, { cause: error });
    } finally {
      end.abort();
    }
  }
}

/** A connection that is being made does not end with its caller. */
async function tooLate(): Promise<never> {
  await sleep(TIMEOUT_MS, undefined, { ref: false });
  throw new HyperError("timed_out", `no answer within ${TIMEOUT_MS / 1000} s`);
}

/** Throws where one's cannot be read. */
async function tagsByName(ctx: Context, names: string[]): Promise<Map<string, string[]>> {
  const refs = await Promise.all(
    names.map((name) =>
      domainRef(ctx, name).catch((error) => {
        if (error instanceof HyperError && error.code === "not_found") return undefined;
        throw error;
      }),
    ),
  );
  const present = names.filter((_, i) => refs[i] !== undefined);
  const read = await readTags(
    ctx,
    refs.filter((ref) => ref !== undefined),
  );
  return new Map(
    present.map((name, i) => {
      const tags = read[i];
      if (!tags || tags instanceof HyperError) throw tags;
      return [name, tags];
    }),
  );
}
