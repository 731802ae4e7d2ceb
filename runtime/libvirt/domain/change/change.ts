/**
 * Edits to a domain. The stored definition takes all of them or none; the running domain takes at once what libvirt
 * and its guest can do, and the answer says of each field what it has.
 */
import * as z from "zod";
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { readAnswering } from "../../definitions.ts";
import { rollback } from "../../rollback.ts";
import { keyValues } from "../../virsh-output.ts";
import { parseXml } from "../../xml.ts";
import { XmlDocument } from "../../xml-document.ts";
import { type DomainState, domainState } from "../domain.ts";
import { editLive, type Outcome } from "./live.ts";
import { completeWish, writeWish } from "./stored.ts";
import { type Field, readFields, type Value, type Wish } from "./wish.ts";

export const Change = z.object({
  field: z.string(),
  value: z.union([z.number(), z.string(), z.boolean(), z.array(z.string())]),
  live: z
    .union([z.boolean(), z.literal("requested")])
    .describe('the running domain has it; "requested": its guest was asked'),
  persistent: z.boolean().describe("stored in its definition"),
  reason: z.string().optional().describe("why it is not live"),
});
type Change = z.output<typeof Change>;

/** Throws before anything is changed, or says what was. `domain`: the words for `--domain`. */
export async function editDomain(ctx: Context, domain: string, dominfo: string, wish: Wish) {
  const state = domainState(dominfo);
  const { persistent } = state;
  if (!persistent) assertLiveOnly(wish);
  const live = state.live ? await readAnswering(ctx, domain) : undefined;
  const stored = persistent ? await readStored(ctx, domain) : undefined;
  const whole = stored ? completeWish(wish, readFields(parseXml(stored, "domain"))) : wish;
  const back = stored === undefined ? undefined : await store(ctx, domain, stored, whole, dominfo);
  const outcomes = live
    ? await editLive(ctx, domain, whole, live).catch((error) => back?.(error) ?? fail(error))
    : new Map<Field, Outcome>();
  const changes = Object.entries(whole).flatMap(([name, value]): Change[] => {
    const field = name as Field;
    if (value === undefined) return [];
    const outcome = outcomes.get(field) ?? withoutLive(field, dominfo, state);
    return [{ field, value: value as Value, ...outcome, persistent }];
  });
  const failed = changes.find((change) => change.live === false);
  if (!persistent && failed) {
    const done = changes.filter((change) => change.live !== false).map(({ field }) => field);
    const text = `${failed.field}: ${failed.reason}; the domain is transient, so nothing waits for a restart; changed were: ${done.join(", ") || "none"}`;
    throw new HyperError("unsupported", text, { details: { changes } });
  }
  return changes;
}

const fail = (error: unknown): never => {
  throw error;
};

/** Throws `unsupported` for what only a stored definition can have. */
function assertLiveOnly(wish: Wish) {
  const fields = ["max_memory", "max_vcpus", "boot", "autostart"] as const;
  const field = fields.find((one) => wish[one] !== undefined);
  if (!field) return;
  const text = `${field}: the domain is transient and has no stored definition, which alone can have it`;
  throw new HyperError("unsupported", text);
}

/** With its passwords, which a definition that is stored again must have. Throws if QEMU does not answer. */
async function readStored(ctx: Context, domain: string): Promise<string> {
  await readAnswering(ctx, domain, "--inactive");
  return ctx.virsh(["dumpxml", "--domain", domain, "--inactive", "--security-info"]);
}

/** Defines the domain as wished. Resolves to what takes that back and throws the error that made it necessary. */
async function store(ctx: Context, domain: string, before: string, wish: Wish, dominfo: string) {
  const doc = new XmlDocument(before);
  const now = readFields(parseXml(before, "domain"));
  writeWish(doc, wish, now);
  const after = `${doc}`;
  const wasAutostarted = keyValues(dominfo).Autostart === "enable";
  const define = (text: string) => ctx.virsh(["define", "--file", { text }]);
  const setAutostart = (on: boolean) =>
    ctx.virsh(["autostart", "--domain", domain, ...(on ? [] : ["--disable"])]);
  const changesAutostart = wish.autostart !== undefined && wish.autostart !== wasAutostarted;
  let isAutostartSet = false;
  const back = (error: unknown): Promise<never> =>
    rollback(error, "the stored definition was changed, and could not be set back", async () => {
      if (after !== before) await define(before);
      if (isAutostartSet) await setAutostart(wasAutostarted);
    });
  if (after !== before) await define(after); // libvirt takes all of it or nothing
  try {
    if (changesAutostart) await setAutostart(wish.autostart === true);
    isAutostartSet = changesAutostart;
    await assertStored(ctx, domain, wish);
  } catch (error) {
    return back(error);
  }
  return back;
}

/** Throws `unsupported`, naming each field that libvirt did not take. */
async function assertStored(ctx: Context, domain: string, wish: Wish) {
  const [text = "", info = ""] = await ctx.virsh.all([
    ["dumpxml", "--domain", domain, "--inactive"],
    ["dominfo", "--domain", domain],
  ]);
  const autostart = keyValues(info).Autostart === "enable";
  const found = { ...readFields(parseXml(text, "domain")), autostart };
  const refused = (Object.keys(wish) as Field[]).filter(
    (field) => wish[field] !== undefined && `${found[field]}` !== `${wish[field]}`,
  );
  if (refused.length === 0) return;
  const each = refused.map(
    (field) => `${field}: libvirt has made ${JSON.stringify(found[field])} of it`,
  );
  throw new HyperError("unsupported", `${each.join("; ")}; nothing was changed`);
}

/** Of a domain that is off, and of what is no part of a running domain. */
function withoutLive(field: Field, dominfo: string, { live }: DomainState): Outcome {
  if (field === "autostart") return { live: true };
  if (live) return { live: false };
  const { "Managed save": saved } = keyValues(dominfo);
  const reason =
    saved === "yes"
      ? "the domain has a managed save, with which it goes on as it was; it has this from the start after that"
      : "the domain is off";
  return { live: false, reason };
}
