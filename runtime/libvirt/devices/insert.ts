/** Inserting a medium into a CD-ROM drive, and ejecting one. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { assertOwnSeeds } from "../cloud-init/own-seed.ts";
import { findIso } from "../create/cdrom.ts";
import { readAnswering } from "../definitions.ts";
import { domainState, nameIn } from "../domain/domain.ts";
import { assertAttachable } from "../storage/attachable.ts";
import { readStorage } from "../storage/usage.ts";
import { attribute, children, parseXml, xml } from "../xml.ts";
import { assertDrive, changeMedium, mediumOf, readDrives, targetsWith } from "./media.ts";
import { type Bus, nextTarget, targetsOf } from "./places.ts";

export interface MediumWish {
  volume?: string | undefined;
  path?: string | undefined;
  pool: string;
  target?: string | undefined;
  force: boolean;
}

/** `uuid` is the domain's, `dominfo` what virsh says of it now. */
export async function insertMedium(ctx: Context, uuid: string, dominfo: string, wish: MediumWish) {
  const { volume, pool, force } = wish;
  const name = nameIn(dominfo) ?? uuid;
  const field = volume === undefined ? "path" : "volume";
  const fields = { path: "path", pool: "pool", volume: "volume" };
  const iso = volume === undefined ? `${wish.path}` : { volume, pool };
  const path = await findIso(ctx, iso, fields);
  const place = { pool: volume && pool, name: path.slice(path.lastIndexOf("/") + 1) };
  const image = { path, format: "raw", ...place, backing: null };
  const storage = await readStorage(ctx);
  await assertOwnSeeds(ctx, storage, [image]);
  await assertAttachable(ctx, name, image, { readOnly: true, shareable: false }, field, storage);
  const state = domainState(dominfo);
  const drives = await readDrives(ctx, uuid, state);
  if (drives.length === 0 && wish.target === undefined && !state.live) {
    const target = await addDrive(ctx, uuid, path);
    return { name, target, path, previous: null, live: false, persistent: true };
  }
  const target = wish.target ?? emptyDrive(drives, name, state.live);
  assertDrive(drives, target, name);
  return changeMedium(ctx, uuid, dominfo, drives, { target, path, force });
}

export async function ejectMedium(
  ctx: Context,
  uuid: string,
  dominfo: string,
  { target: wanted, force }: Pick<MediumWish, "target" | "force">,
) {
  const name = nameIn(dominfo) ?? uuid;
  const drives = await readDrives(ctx, uuid, domainState(dominfo));
  if (wanted !== undefined) assertDrive(drives, wanted, name);
  const loaded = [
    ...new Set(drives.filter((drive) => mediumOf(drive)).map(({ disk }) => disk.target)),
  ];
  const possible = wanted === undefined ? loaded : loaded.filter((target) => target === wanted);
  const [target, other] = possible;
  if (target === undefined) {
    const which =
      wanted === undefined ? `no CD-ROM drive of ${name}` : `drive ${wanted} of ${name} holds`;
    const text = wanted === undefined ? `${which} holds a medium` : `${which} no medium`;
    throw new HyperError("not_found", `target: ${text}`);
  }
  if (other !== undefined) {
    const text = `target: the drives ${loaded.join(", ")} of ${name} hold media; say which`;
    throw new HyperError("invalid_input", text);
  }
  return changeMedium(ctx, uuid, dominfo, drives, { target, path: undefined, force });
}

function emptyDrive(drives: Awaited<ReturnType<typeof readDrives>>, name: string, live: boolean) {
  const [empty] = targetsWith(drives, (drive) => mediumOf(drive) === undefined);
  if (empty !== undefined) return empty;
  if (drives.length === 0) {
    const why = live ? ", and none can be added while it runs; shut it down first" : "";
    throw new HyperError("not_found", `target: domain ${name} has no CD-ROM drive${why}`);
  }
  const held = drives.map((drive) => `${drive.disk.target} holds ${mediumOf(drive)}`);
  const text = `target: ${[...new Set(held)].join(", ")}; name the drive whose medium is to be replaced`;
  throw new HyperError("in_use", text);
}

/** A domain that is off gets a drive, on a bus for which no guest needs a driver. */
async function addDrive(ctx: Context, uuid: string, path: string): Promise<string> {
  const stored = parseXml(await readAnswering(ctx, uuid, "--inactive"), "domain");
  const models = children(stored, "devices", "controller").map((one) => one["@model"]);
  const isX86 = /^(x86_64|i686)$/.test(attribute(stored, "arch", "os", "type") ?? "");
  const bus: Bus = isX86 ? (models.includes("pcie-root") ? "sata" : "ide") : "scsi";
  const target = nextTarget(bus, targetsOf([stored]));
  const source = path.startsWith("/dev/")
    ? xml`<source dev="${path}"/>`
    : xml`<source file="${path}"/>`;
  const type = path.startsWith("/dev/") ? "block" : "file";
  const text = xml`<disk type="${type}" device="cdrom"><driver name="qemu" type="raw"/>${source}<target dev="${target}" bus="${bus}"/><readonly/></disk>`;
  await ctx.virsh(["attach-device", "--domain", uuid, "--file", { text: `${text}` }, "--config"]);
  return target;
}
