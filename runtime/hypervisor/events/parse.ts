/**
 * An event as virsh has printed it, without its time, becomes one of ours. Names stand there unescaped, and may hold
 * whatever follows a name: where a line can be read in several ways, all are given, the longest name first.
 */
import { KINDS, type Kind } from "../../events/fleet-event.ts";
import type { NewEvent } from "../../events/hub.ts";
import { GRAMMARS, type Grammar, pairs } from "./grammar.ts";

export type Reading = Extract<NewEvent, { kind: (typeof OBJECTS)[keyof typeof OBJECTS] }>;

const OBJECTS = {
  domain: "domain",
  network: "network",
  "storage pool": "pool",
  secret: "secret",
  "node device": "device",
} as const;

const HEAD =
  /^event '(?<event>[^']+)' for (?<what>domain|network|storage pool|secret|node device) (?<tail>.*)$/s;

/** One that this version of ours does not know. Nothing of it is lost. */
const UNKNOWN: Grammar = { rest: /^(?:[: ].*)?$/s, free: true, more: true };

/** Whether nothing of it can follow: of other events, further lines may. */
export function isWhole(text: string): boolean {
  const { event = "", what, tail = "" } = HEAD.exec(text)?.groups ?? {};
  if (what !== "domain") return true;
  const grammar = Object.hasOwn(GRAMMARS, event) ? GRAMMARS[event] : undefined;
  return grammar !== undefined && !grammar.more && splits(tail, grammar).length > 0;
}

/** All that the text may mean; none for a text that is no event. */
export function parse(host: string, text: string): Reading[] {
  const [first = "", ...lines] = text.split("\n");
  const { event = "", what, tail = "" } = HEAD.exec(text)?.groups ?? {};
  if (what !== "domain") return parseOther(host, event, what as keyof typeof OBJECTS, tail);
  const known = Object.hasOwn(GRAMMARS, event) ? GRAMMARS[event] : undefined;
  const grammar = known ?? UNKNOWN;
  const own = grammar.more ? `${HEAD.exec(first)?.groups?.tail}` : tail;
  const found = splits(own, grammar);
  const readings = found.length > 0 || !known ? found : splits(own, UNKNOWN);
  return readings.map(({ name, rest, groups }) => {
    const fields = found.length > 0 ? grammar.fields?.(groups, lines) : undefined;
    const parameters = known || lines.length === 0 ? {} : { parameters: pairs(lines) };
    const detail = [rest.replace(/^:? ?/, ""), ...lines.map((line) => line.trim())];
    const said = detail.filter(Boolean).join("; ") || null;
    return { kind: "domain", host, object: name, event, detail: said, ...parameters, ...fields };
  });
}

interface Split {
  name: string;
  rest: string;
  groups: Record<string, string>;
}

/** What follows a name is never like the end of another one, unless it is a free text: then every reading counts. */
function splits(tail: string, { rest: pattern, free = false }: Grammar): Split[] {
  const all: Split[] = [];
  for (let at = tail.lastIndexOf("'"); at > 1; at = tail.lastIndexOf("'", at - 1)) {
    const rest = tail.slice(at + 1);
    const found = tail[0] === "'" ? pattern.exec(rest) : null;
    if (!found) continue;
    all.push({ name: tail.slice(1, at), rest, groups: { ...found.groups } });
    if (!free) break;
  }
  return all;
}

/** These names stand without quotes. */
function parseOther(
  host: string,
  event: string,
  what: keyof typeof OBJECTS,
  tail: string,
): Reading[] {
  const kind: Kind | undefined = OBJECTS[what];
  if (!kind || !KINDS.includes(kind)) return [];
  const detailed = event === "lifecycle" ? /^(?<name>.*): (?<action>\w+)$/s.exec(tail) : null;
  const changed =
    event === "metadata-change"
      ? /^(?<name>.*): type (?<field>\w+), uri (?<uri>.*)$/s.exec(tail)
      : null;
  const { name = tail, action, field, uri } = { ...detailed?.groups, ...changed?.groups };
  const more = {
    ...(action !== undefined && { action: action.toLowerCase() }),
    ...(field !== undefined && { field, ...(uri !== "<null>" && { uri }) }),
  };
  const detail = action ?? (field === undefined ? null : `type ${field}, uri ${uri}`);
  return [{ kind, host, object: name, event, detail, ...more } as Reading];
}
