/** What of a wish a running domain takes at once. */
import { setTimeout as sleep } from "node:timers/promises";
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { children, parseXml } from "../../xml.ts";
import { type Field, readFields, type Wish } from "./wish.ts";

/** Whether the running domain has it; "requested": its guest was asked, and has not done it yet. */
export interface Outcome {
  live: boolean | "requested";
  reason?: string;
}

const NEXT_START = "counts from the domain's next start on";

/** Tries each field that the running domain lacks. `text`: its live definition. */
export async function editLive(ctx: Context, domain: string, wish: Wish, text: string) {
  const definition = parseXml(text, "domain");
  const now = readFields(definition);
  const [balloon] = children(definition, "devices", "memballoon");
  const outcomes = new Map<Field, Outcome>();
  const { memory, vcpus, title, description } = wish;
  const later = (reason: string): Outcome => ({ live: false, reason });
  const attempt = async (field: Field, work: () => Promise<Outcome>) => {
    const outcome = work().catch((error: unknown) => {
      if (!(error instanceof HyperError)) throw error;
      if (!/^(unreachable|outcome_unknown)$/.test(error.code)) return later(error.message);
      const done = [...outcomes].flatMap(([one, { live }]) => (live ? one : []));
      const text = `${field}: ${error.message}; the running domain has: ${done.join(", ") || "no edit"}`;
      throw new HyperError(error.code, text, { cause: error });
    });
    outcomes.set(field, await outcome);
  };
  for (const [field, value] of Object.entries(wish) as [Field, unknown][]) {
    if (value === undefined || field === "autostart") continue;
    if (`${now[field]}` === `${value}`) outcomes.set(field, { live: true });
    else if (/^(max_|boot)/.test(field)) outcomes.set(field, later(`${field} ${NEXT_START}`));
  }
  const isOpen = (field: Field) => wish[field] !== undefined && !outcomes.has(field);
  if (memory !== undefined && isOpen("memory")) {
    const hasBalloon = balloon !== undefined && balloon["@model"] !== "none";
    if (memory > now.max_memory)
      outcomes.set("memory", later(`the running domain can have ${now.max_memory} MiB at most`));
    else if (!hasBalloon)
      outcomes.set("memory", later("the domain has no memory balloon, by which it would change"));
    else await attempt("memory", () => balloonTo(ctx, domain, memory));
  }
  if (vcpus !== undefined && isOpen("vcpus")) {
    if (vcpus > now.max_vcpus)
      outcomes.set("vcpus", later(`the running domain can have ${now.max_vcpus} vCPUs at most`));
    else await attempt("vcpus", () => plugVcpus(ctx, domain, vcpus));
  }
  if (title !== undefined && isOpen("title"))
    await attempt("title", () => describe(ctx, domain, ["--title"], title));
  if (description !== undefined && isOpen("description"))
    await attempt("description", () => describe(ctx, domain, [], description));
  return outcomes;
}

async function describe(ctx: Context, domain: string, flags: string[], text: string) {
  await ctx.virsh(["desc", "--domain", domain, "--live", ...flags, `--new-desc=${text}`]);
  return { live: true };
}

/** The guest gives memory back, or takes it, in its own time: it gets 5 s. */
async function balloonTo(ctx: Context, domain: string, mebibytes: number): Promise<Outcome> {
  const size = mebibytes * 1024;
  await ctx.virsh(["setmem", "--domain", domain, "--size", `${size}`, "--live"]);
  for (let attempt = 0; attempt < 20; attempt++) {
    const stats = await ctx.virsh(["dommemstat", "--domain", domain]);
    if (stats.match(/^actual (\d+)$/m)?.[1] === `${size}`) return { live: true };
    await sleep(250);
  }
  const reason = "the guest was asked by its memory balloon, and has not followed yet";
  return { live: "requested", reason };
}

async function plugVcpus(ctx: Context, domain: string, count: number): Promise<Outcome> {
  const set = ["setvcpus", "--domain", domain, "--count", `${count}`, "--live"];
  try {
    await ctx.virsh(set);
    return { live: true };
  } catch (error) {
    // libvirt gives the guest 5 s to release a vCPU
    if (!(error instanceof HyperError) || error.code !== "timed_out") throw error;
    const reason = "the guest was asked to release vCPUs, and has not done so yet";
    return { live: "requested", reason };
  }
}
