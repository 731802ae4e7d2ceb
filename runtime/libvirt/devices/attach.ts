/** Attaching a disk, to the running domain and to its stored definition alike. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readAnswering } from "../definitions.ts";
import { readDisks } from "../disk.ts";
import { affectFlags, domainState, nameIn } from "../domain/domain.ts";
import { withRollback } from "../rollback.ts";
import { type Element, parseXml, xml } from "../xml.ts";
import {
  assertBus,
  assertPluggable,
  type Bus,
  hasController,
  nextTarget,
  targetsOf,
} from "./places.ts";
import { type DiskSource, findSource, makeSource, type Source } from "./source.ts";
import { orTakenBack } from "./take-back.ts";

export const CACHES = ["none", "writethrough", "writeback", "directsync", "unsafe"] as const;

export interface DiskWish extends Source {
  bus: Bus;
  cache?: (typeof CACHES)[number] | undefined;
  read_only: boolean;
  shareable: boolean;
}

export const AttachedDisk = z.object({
  name: z.string(),
  target: z.string(),
  bus: z.string(),
  path: z.string(),
  format: z.string(),
  pool: z.string().nullable(),
  volume: z.string().nullable(),
  capacity_bytes: z.number(),
  read_only: z.boolean(),
  shareable: z.boolean(),
  live: z.boolean().describe("attached to the running domain"),
  persistent: z.boolean().describe("stored in its definition"),
});

/** `uuid` is the domain's, `dominfo` what virsh says of it now. */
export async function attachDisk(ctx: Context, uuid: string, dominfo: string, wish: DiskWish) {
  const name = nameIn(dominfo) ?? uuid;
  const state = domainState(dominfo);
  const running = state.live ? parseXml(await readAnswering(ctx, uuid), "domain") : undefined;
  const stored = state.persistent
    ? parseXml(await readAnswering(ctx, uuid, "--inactive"), "domain")
    : undefined;
  const definitions = [running, stored].filter((one) => one !== undefined);
  assertBus(wish.bus, definitions);
  assertPossible(wish, running);
  const target = nextTarget(wish.bus, targetsOf(definitions));
  const sharing = { readOnly: wish.read_only, shareable: wish.shareable };
  const found = wish.size === undefined ? await findSource(ctx, name, wish, sharing) : undefined;
  if (found) assertShareable(found.format, wish);
  return withRollback(ctx, `disk ${target} of ${name}`, async (journal) => {
    const names = { domain: name, uuid, target };
    const source = found ?? (await makeSource(ctx, journal, wish, names));
    const flags = affectFlags(state);
    const lacking = wish.bus === "scsi" ? withoutScsi(running, stored) : [];
    const device = ["--domain", uuid, "--file", diskXml(source, target, wish), ...flags];
    const plug = async () => {
      await withController(ctx, uuid, lacking, () => ctx.virsh(["attach-device", ...device]));
      await assertThere(ctx, uuid, target, source.path, state);
    };
    await (found ? plug() : orTakenBack(ctx, journal, { uuid, target, state, source }, plug));
    return {
      ...{ name, target, bus: wish.bus, path: source.path, format: source.format },
      ...{ pool: source.pool ?? null, volume: source.pool === undefined ? null : source.name },
      ...{ capacity_bytes: source.capacity, read_only: wish.read_only, shareable: wish.shareable },
      ...state,
    };
  });
}

function assertPossible(wish: DiskWish, running: Element | undefined) {
  const { bus, read_only } = wish;
  if (read_only && (bus === "sata" || bus === "ide")) {
    const text = `read_only: a ${bus} disk cannot be read-only; use virtio, scsi or usb`;
    throw new HyperError("unsupported", text);
  }
  if (wish.size !== undefined) assertShareable(wish.format ?? "qcow2", wish);
  if (running) assertPluggable(bus, running);
}

/** Several writers would corrupt the metadata of any other format. */
function assertShareable(format: string, { shareable, read_only }: DiskWish) {
  if (!shareable || read_only || format === "raw") return;
  const text = `shareable: only a raw image can be written by several domains, and this is ${format}`;
  throw new HyperError("invalid_input", text);
}

function diskXml({ type, path, format }: DiskSource, target: string, wish: DiskWish) {
  const { bus, cache, read_only, shareable } = wish;
  const source = type === "block" ? xml`<source dev="${path}"/>` : xml`<source file="${path}"/>`;
  const text = xml`<disk type="${type}" device="disk"><driver name="qemu" type="${format}"${cache && xml` cache="${cache}"`}/>${source}<target dev="${target}" bus="${bus}"/>${read_only && xml`<readonly/>`}${shareable && xml`<shareable/>`}</disk>`;
  return { text: `${text}` };
}

/** The options for those of the definitions that have no SCSI controller. */
const withoutScsi = (running: Element | undefined, stored: Element | undefined) => [
  ...(running && !hasController(running, "scsi") ? ["--live"] : []),
  ...(stored && !hasController(stored, "scsi") ? ["--config"] : []),
];

/** libvirt's own choice of a SCSI controller is one for which few guests have a driver. */
const CONTROLLER = { text: `<controller type="scsi" index="0" model="virtio-scsi"/>` };

async function withController(
  ctx: Context,
  uuid: string,
  flags: string[],
  work: () => Promise<unknown>,
) {
  if (flags.length === 0) return work();
  const device = ["--domain", uuid, "--file", CONTROLLER, ...flags];
  await ctx.virsh(["attach-device", ...device]);
  return work().catch(async (error: unknown) => {
    const [outcome] = await ctx.virsh.settled([["detach-device", ...device]]);
    if (!(error instanceof HyperError) || typeof outcome === "string") throw error;
    const text = `${error.message}; left behind: the SCSI controller that was added (${outcome?.message})`;
    throw new HyperError(error.code, text, { cause: error });
  });
}

async function assertThere(
  ctx: Context,
  uuid: string,
  target: string,
  path: string,
  { live, persistent }: { live: boolean; persistent: boolean },
) {
  const options = [...(live ? [[]] : []), ...(persistent ? [["--inactive"]] : [])];
  const texts = await ctx.virsh.all(
    options.map((option) => ["dumpxml", "--domain", uuid, ...option]),
  );
  const isThere = (text: string) =>
    readDisks(parseXml(text, "domain")).some((one) => one.target === target && one.path === path);
  if (texts.every(isThere)) return;
  throw new HyperError("virsh_failed", `virsh attached ${path}, but the domain has no such disk`);
}
