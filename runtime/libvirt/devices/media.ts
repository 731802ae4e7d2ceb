/** The media of CD-ROM drives, in the running domain and in its stored definition alike. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readAnswering } from "../definitions.ts";
import { type Disk, readDisk } from "../disk.ts";
import { type DomainState, nameIn } from "../domain/domain.ts";
import { rollback } from "../rollback.ts";
import { attribute, parseXml, xml } from "../xml.ts";
import { descend, XmlDocument } from "../xml-document.ts";

export const Medium = z.object({
  name: z.string(),
  target: z.string().describe("the drive"),
  path: z.string().nullable().describe("the medium in it now"),
  previous: z.string().nullable().describe("the medium that was in it"),
  live: z.boolean().describe("in the running domain"),
  persistent: z.boolean().describe("in its stored definition"),
});

type Scope = "--live" | "--config";

/** A drive of one of the definitions. */
interface Drive {
  scope: Scope;
  /** Its `<disk>` as libvirt has it. */
  text: string;
  disk: Disk;
}

/** The CD-ROM drives of the running domain, and those of its stored definition. */
export async function readDrives(ctx: Context, uuid: string, state: DomainState) {
  const read = async (scope: Scope): Promise<Drive[]> => {
    const option = scope === "--config" ? "--inactive" : undefined;
    const doc = new XmlDocument(await readAnswering(ctx, uuid, option));
    return doc.find("devices", "disk").flatMap((span) => {
      const text = doc.text.slice(span.start, span.end);
      const disk = readDisk(parseXml(text, "disk"));
      return disk.device === "cdrom" ? { scope, text, disk } : [];
    });
  };
  return [
    ...(state.live ? await read("--live") : []),
    ...(state.persistent ? await read("--config") : []),
  ];
}

export const mediumOf = ({ disk }: Drive): string | undefined =>
  disk.path ?? (disk.volume && `${disk.pool}/${disk.volume}`) ?? disk.name;

/** The targets of the drives; `isWanted` looks at what is in them, in the running domain if it runs. */
export function targetsWith(drives: Drive[], isWanted: (drive: Drive) => boolean): string[] {
  const targets = [...new Set(drives.map(({ disk }) => disk.target))];
  return targets.filter((target) => {
    const first = drives.find(({ disk }) => disk.target === target);
    return first !== undefined && isWanted(first);
  });
}

/** Throws `invalid_input` unless there is a drive of this name. */
export function assertDrive(drives: Drive[], target: string, domain: string) {
  if (drives.some(({ disk }) => disk.target === target)) return;
  const known = targetsWith(drives, () => true).join(", ") || "none";
  const text = `target: domain ${domain} has no CD-ROM drive ${target}; its drives are ${known}`;
  throw new HyperError("invalid_input", text);
}

/** Firmware that looks for a system may shut the tray of an empty drive while libvirt is at it. */
const AGAIN_MS = 1000;

/**
 * Puts a medium into a drive, or none: first in the running domain, whose guest may have locked the tray, then in the
 * stored definition.
 */
export async function changeMedium(
  ctx: Context,
  uuid: string,
  dominfo: string,
  drives: Drive[],
  { target, path, force }: { target: string; path: string | undefined; force: boolean },
): Promise<z.output<typeof Medium>> {
  const own = drives.filter(({ disk }) => disk.target === target);
  const update = ({ scope }: Drive, text: string, more: string[] = []) =>
    ctx.virsh(["update-device", "--domain", uuid, "--file", { text }, scope, ...more]);
  const running = own.find(({ scope }) => scope === "--live");
  const stored = own.find(({ scope }) => scope === "--config");
  if (running) {
    const change = () => update(running, withMedium(running, path), force ? ["--force"] : []);
    const isEmpty = mediumOf(running) === undefined;
    await change()
      .catch(async (error: HyperError) => {
        if (!isEmpty || error.code !== "virsh_failed") throw error;
        await sleep(AGAIN_MS);
        return change();
      })
      .catch(async (error: HyperError) => {
        throw (force ? undefined : await lockedTray(ctx, uuid, running, error)) ?? error;
      });
  }
  if (stored) {
    await update(stored, withMedium(stored, path)).catch((error: unknown) => {
      if (!running) throw error;
      const left = `the running domain has the change of ${target}, its definition has not`;
      return rollback(error, left, () => update(running, running.text));
    });
  }
  const state = { live: running !== undefined, persistent: stored !== undefined };
  await assertChanged(ctx, uuid, target, path, state);
  const previous = [running, stored].flatMap((drive) => (drive && mediumOf(drive)) ?? [])[0];
  const now = { path: path ?? null, previous: previous ?? null };
  return { name: nameIn(dominfo) ?? uuid, target, ...now, ...state };
}

/** The drive with another medium. An ISO is raw, whatever its first bytes say. */
function withMedium({ text }: Drive, path: string | undefined): string {
  const doc = new XmlDocument(text);
  const isBlock = path?.startsWith("/dev/");
  for (const name of ["source", "backingStore"])
    for (const span of descend([doc.root], [name])) doc.remove(span);
  doc.setAttribute(doc.root, "type", isBlock ? "block" : "file");
  const drivers = descend([doc.root], ["driver"]);
  for (const driver of drivers) doc.setAttribute(driver, "type", "raw");
  if (path !== undefined)
    doc.prepend(
      doc.root,
      `${isBlock ? xml`<source dev="${path}"/>` : xml`<source file="${path}"/>`}`,
    );
  if (drivers.length === 0) doc.prepend(doc.root, '<driver name="qemu" type="raw"/>');
  return `${doc}`;
}

/**
 * The error for a tray that the guest keeps shut. libvirt says in the daemon's language that it did not open, and
 * QEMU may say nothing, so the state decides: it is closed, and holds what it held.
 */
async function lockedTray(ctx: Context, uuid: string, drive: Drive, error: HyperError) {
  if (error.code !== "virsh_failed" && error.code !== "timed_out") return undefined;
  const drives = await readDrives(ctx, uuid, { live: true, persistent: false });
  const { target, path } = drive.disk;
  const now = drives.find(({ disk }) => disk.target === target);
  const isShut = now && attribute(parseXml(now.text, "disk"), "tray", "target") !== "open";
  if (!isShut || now.disk.path !== path || path === undefined) return undefined;
  const text = `target: the tray of ${target} did not open: the guest has locked it, as it does while it uses the medium; eject it in the guest first, or open the tray with force: true (${error.message})`;
  return new HyperError("in_use", text, { cause: error });
}

async function assertChanged(
  ctx: Context,
  uuid: string,
  target: string,
  path: string | undefined,
  state: DomainState,
) {
  const drives = await readDrives(ctx, uuid, state);
  const other = drives.find(({ disk }) => disk.target === target && disk.path !== path);
  if (!other) return;
  const text = `virsh changed the medium of ${target}, but libvirt has ${mediumOf(other) ?? "none"} in it`;
  throw new HyperError("virsh_failed", text);
}
