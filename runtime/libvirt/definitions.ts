/**
 * The definitions of domains, without being held up by a QEMU that does not answer: from libvirt 11.3 on (9.0
 * never did) `dumpxml` waits for the monitor call before it. A stuck domain has its last known definition.
 */
import pLimit from "p-limit";
import { chunks } from "../core/chunks.ts";
import { HyperError } from "../core/errors.ts";
import { memoizePerObject } from "../core/memoize.ts";
import type { Context } from "../hypervisor/context.ts";
import { type DefinitionFiles, readDefinitionFiles } from "./definition-files.ts";
import { type Definition, recall, remember } from "./definition-memory.ts";
import { findOccupied, findStuck, isSuspect, MONITOR_DEADLINE_MS } from "./monitor.ts";
import { keyValues } from "./virsh-output.ts";
import { type Element, parseXml, unescapeXml } from "./xml.ts";

/** As many as a session runs in one round trip. */
const DOMAINS_PER_CALL = 16;
/** The read lane has four sessions; the other two stay for other callers. */
const MAX_CONCURRENT_CALLS = 2;

/**
 * The definition of each domain, in their order, or why it could not be read: `not_found` when the domain has gone,
 * `timed_out` when its QEMU does not answer and no definition is known. `refs`: the words for `--domain`.
 */
export async function readDefinitions(
  ctx: Context,
  refs: string[],
  option?: "--inactive",
): Promise<(Definition | HyperError)[]> {
  const targets = [...new Set(refs)].map((ref) => ({ name: ref, ref }));
  const found = new Map<string, Definition | HyperError>();
  const setAside = async (stuck: { ref: string }[]) => {
    for (const { ref } of stuck) found.set(ref, await lastKnown(ctx, ref, option));
  };
  // where nothing was stuck lately, the question would cost as much as the definition
  if (isSuspect(ctx.host)) await setAside(await findOccupied(ctx, targets));
  const readBatch = async (batch: typeof targets) => {
    let timeout: number | undefined = MONITOR_DEADLINE_MS;
    for (;;) {
      const well = batch.filter(({ ref }) => !found.has(ref));
      const texts = await dump(ctx, well, option, timeout);
      texts?.forEach((text, i) => {
        const { ref = "" } = well[i] ?? {};
        found.set(ref, typeof text === "string" ? keep(ctx, ref, text, option) : text);
      });
      if (texts) return;
      const stuck = await findStuck(ctx, well);
      await setAside(stuck);
      // without a stuck domain the hypervisor is only slow, and has the time of any other command
      if (stuck.length === 0) timeout = undefined;
    }
  };
  const rest = targets.filter(({ ref }) => !found.has(ref));
  await pLimit(MAX_CONCURRENT_CALLS).map(chunks(rest, DOMAINS_PER_CALL), readBatch);
  return refs.map(
    (ref) => found.get(ref) ?? new HyperError("not_found", `domain ${ref} not found`),
  );
}

/** The same by UUID, for many domains: only definitions whose files have changed are read again. */
export async function readChanged(
  ctx: Context,
  uuids: string[],
  option?: "--inactive",
  files: DefinitionFiles | Promise<DefinitionFiles> = readDefinitionFiles(ctx),
): Promise<(Definition | HyperError)[]> {
  const identityOf = await files;
  const unchanged = (uuid: string) => {
    const { definition, identity } = recall(ctx, uuid, option) ?? {};
    const isSame = definition && identity && identity === identityOf(nameIn(definition), option);
    return isSame ? definition : undefined;
  };
  const known = uuids.map(unchanged);
  const read = await readDefinitions(
    ctx,
    uuids.filter((_, i) => !known[i]),
    option,
  );
  for (const definition of read) {
    if (definition instanceof HyperError || definition.stuck) continue;
    const entry = recall(ctx, uuidIn(definition.text) ?? "", option);
    if (entry?.definition === definition) entry.identity = identityOf(nameIn(definition), option);
  }
  return known.map((definition) => definition ?? (read.shift() as Definition | HyperError));
}

function keep(
  ctx: Context,
  ref: string,
  text: string,
  option: "--inactive" | undefined,
): Definition {
  const definition = { text };
  remember(ctx, uuidIn(text) ?? ref, option, { definition });
  return definition;
}

const uuidIn = (text: string) => text.match(/<uuid>([^<]+)<\/uuid>/)?.[1];
const nameIn = memoizePerObject(({ text }: Definition) =>
  unescapeXml(`${text.match(/<name>([^<]*)<\/name>/)?.[1]}`),
);

/** The definition of one domain. Throws why it could not be read. */
export async function readDefinition(
  ctx: Context,
  ref: string,
  option?: "--inactive",
): Promise<Definition> {
  const [definition] = await readDefinitions(ctx, [ref], option);
  if (!definition || definition instanceof HyperError) throw definition;
  return definition;
}

/** For a change, which needs QEMU's answer: throws when the domain is stuck. */
export async function readAnswering(ctx: Context, ref: string, option?: "--inactive") {
  const { text, stuck } = await readDefinition(ctx, ref, option);
  if (stuck) throw new HyperError("timed_out", `${stuck}; nothing was changed`);
  return text;
}

/** For an answer that says what is missing: the parsed definition, which is empty where a stuck domain's is unknown. */
export async function readKnown(
  ctx: Context,
  ref: string,
): Promise<{ domain: Element; stuck?: string }> {
  const [read] = await readDefinitions(ctx, [ref]);
  if (read instanceof HyperError && read.code === "timed_out")
    return { domain: {}, stuck: read.message };
  if (!read || read instanceof HyperError) throw read;
  const { text, ...rest } = read;
  return { domain: parseXml(text, "domain"), ...rest };
}

/** The reason for each field of an answer that comes from a stuck domain's definition. */
export const reasonsFor = (fields: string[], stuck: string | undefined): Record<string, string> =>
  stuck ? Object.fromEntries(fields.map((field) => [field, stuck])) : {};

/** Undefined if the deadline was missed. */
async function dump(
  { virsh }: Context,
  targets: { ref: string }[],
  option: string | undefined,
  timeout: number | undefined,
) {
  const options = option ? [option] : [];
  const commands = targets.map(({ ref }) => ["dumpxml", "--domain", ref, ...options]);
  try {
    return await virsh.settled(commands, timeout ? { timeout } : {});
  } catch (error) {
    const late = error instanceof HyperError && /^(timed_out|busy)$/.test(error.code);
    if (!late || timeout === undefined) throw error;
    return undefined;
  }
}

/** `dominfo` never waits for QEMU. */
async function lastKnown(ctx: Context, ref: string, option?: "--inactive") {
  const [dominfo] = await ctx.virsh.settled([["dominfo", "--domain", ref]]);
  if (typeof dominfo !== "string") return dominfo ?? new HyperError("not_found", "");
  const { Name: name = ref, UUID: uuid = ref } = keyValues(dominfo);
  const text = recall(ctx, uuid, option)?.definition.text;
  const silent = `QEMU of domain ${name} does not answer its monitor`;
  if (text !== undefined)
    return { text, stuck: `${silent}; this is from the definition as it was last read` };
  const why = `${silent}, and its definition was not read before; it cannot be read until QEMU answers`;
  return new HyperError("timed_out", why);
}
