/**
 * Tags of domains, in libvirt's own metadata under this project's namespace: they move with the domain, and any other
 * program sees them in `virsh dumpxml`.
 */
import * as z from "zod";
import { chunks } from "../../core/chunks.ts";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Outcome } from "../../hypervisor/outcomes.ts";
import { affectFlags, domainState } from "../domain/domain.ts";
import { children, type Element, parseXml, xml } from "../xml.ts";

export const TAGS_NAMESPACE = "urn:hypersdk:tags:1";
const PREFIX = "hypersdk";
const MAX_TAGS = 64;

/** What a query can name without quotes. */
export const Tag = z
  .string()
  .normalize("NFC")
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{M}\p{N}._:=@/-]{0,62}$/u,
    'must be 1 to 63 letters, digits, ".", "_", "-", ":", "=", "@" and "/", and begin with a letter or digit',
  )
  .describe("a tag such as prod or team:web");

export const Tags = z
  .array(Tag)
  .min(1, "must name at least one tag")
  .max(MAX_TAGS, `must name at most ${MAX_TAGS} tags`)
  // the mark refuses a change of tags to callers whose domains a query selects
  .meta({ "x-hypersdk": "tags", description: "tags, each once in the answer" });

type Change = (tags: string[]) => string[];

/** Those that a domain has get these, too. */
export const withTags =
  (tags: string[]): Change =>
  (present) =>
    tidy([...present, ...tags]);

export const withoutTags =
  (tags: string[]): Change =>
  (present) =>
    present.filter((tag) => !tags.includes(tag));

/** As others may have written them: each once, in order, without space around. */
const tidy = (tags: string[]) =>
  [...new Set(tags.map((tag) => tag.trim()).filter((tag) => tag !== ""))].sort();

/** The tags in the `<metadata>` of a definition. */
export function tagsIn(metadata: Element): string[] {
  const own = Object.keys(metadata).flatMap((key) => {
    const [, prefix] = /^(?:([^:]+):)?tags$/.exec(key) ?? [];
    const mark = prefix ? `@xmlns:${prefix}` : "@xmlns";
    return children(metadata, key).filter((element) => element[mark] === TAGS_NAMESPACE);
  });
  return own.flatMap(tagsOf);
}

function tagsOf(tags: Element): string[] {
  const keys = Object.keys(tags).filter((key) => /^([^:]+:)?tag$/.test(key));
  const texts = keys.flatMap((key) => children(tags, key).map((tag) => `${tag["#text"] ?? ""}`));
  return tidy(texts);
}

/** Rounds, where a domain is started or ends in the middle. */
const MAX_ROUNDS = 3;

/**
 * Changes the tags of the running domain and of its stored definition, each of what it has. Resolves to those that
 * libvirt then has. A failure leaves them as they were, or says that it does not. Call it `inTurn`.
 */
export async function changeTags(
  ctx: Context,
  uuid: string,
  dominfo: string,
  change: Change,
): Promise<string[]> {
  let text = dominfo;
  for (let round = 1; ; round++) {
    const sides = affectFlags(domainState(text));
    const tags = await changeSides(ctx, uuid, sides, change);
    text = await ctx.virsh(["dominfo", "--domain", uuid]);
    const isSame = affectFlags(domainState(text)).join() === sides.join();
    if (isSame || round === MAX_ROUNDS) return tags;
  }
}

async function changeSides(ctx: Context, uuid: string, sides: string[], change: Change) {
  const before = await readSides(ctx, uuid, sides);
  const wanted = before.map(change);
  const most = Math.max(...wanted.map(({ length }) => length));
  if (most > MAX_TAGS) {
    const text = `tags: a domain has at most ${MAX_TAGS}, and this one would have ${most}`;
    throw new HyperError("invalid_input", text);
  }
  const changed = differing(before, wanted);
  const outcomes = await ctx.virsh.settled(
    changed.map((i) => write(uuid, sides[i] ?? "", wanted[i] ?? [])),
  );
  const after = changed.length > 0 ? await readSides(ctx, uuid, sides) : before;
  const error = outcomes.find((outcome) => outcome instanceof HyperError);
  if (!error && differing(after, wanted).length === 0) return wanted[0] ?? [];
  const failure =
    error ?? new HyperError("virsh_failed", "libvirt does not have the tags that were written");
  const written = differing(after, before);
  const back = await ctx.virsh.settled(
    written.map((i) => write(uuid, sides[i] ?? "", before[i] ?? [])),
  );
  const left = written
    .filter((_, i) => back[i] instanceof HyperError)
    .map((i) => sides[i]?.slice(2));
  if (left.length === 0) throw failure;
  const text = `${failure.message}; its former tags could not be written back to: ${left.join(", ")}`;
  throw new HyperError(failure.code, text, { cause: failure, details: { left } });
}

/** The sides on which the tags are not the same. */
const differing = (some: string[][], others: string[][]) =>
  some.map((_, i) => i).filter((i) => some[i]?.join("\n") !== others[i]?.join("\n"));

function write(uuid: string, side: string, tags: string[]): string[] {
  const command = ["metadata", "--domain", uuid, "--uri", TAGS_NAMESPACE, side];
  if (tags.length === 0) return [...command, "--remove"];
  const text = `${xml`<tags>${tags.map((tag) => xml`<tag>${tag}</tag>`)}</tags>`}`;
  return [...command, "--key", PREFIX, "--set", text];
}

async function readSides(ctx: Context, uuid: string, sides: string[]): Promise<string[][]> {
  const read = readingTags(uuid);
  const answers = await ctx.virsh.settled(sides.map((side) => [...read, side]));
  return answers.map((answer) => {
    const tags = tagsTold(answer); // the domain is there: its dominfo was read before
    if (tags instanceof HyperError) throw tags;
    return tags;
  });
}

const readingTags = (ref: string) => ["metadata", "--domain", ref, "--uri", TAGS_NAMESPACE];

function tagsTold(answer: Outcome): string[] | HyperError {
  if (typeof answer === "string") return tagsOf(parseXml(answer, "tags"));
  return answer.code === "not_found" ? [] : answer;
}

/**
 * The tags of domains as they are now, in their order, or why one's cannot be read: libvirtd answers without QEMU. A
 * domain that does not exist has none. `refs`: the words for `--domain`.
 */
export async function readTags(ctx: Context, refs: string[]): Promise<(string[] | HyperError)[]> {
  const told: Outcome[] = [];
  for (const some of chunks(refs, DOMAINS_PER_CALL))
    told.push(...(await ctx.virsh.settled(some.map(readingTags))));
  return told.map(tagsTold);
}

/** So many share a time limit. */
const DOMAINS_PER_CALL = 200;
