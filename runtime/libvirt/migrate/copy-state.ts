/** What a domain that is off has beside its disks: the firmware's variables, and the state of its TPM. */
import { HyperError } from "../../core/errors.ts";
import { nvramFile, SYSTEM_FOLDER } from "../clone/nvram.ts";
import type { Journal } from "../journal.ts";
import { loginOf } from "../login.ts";
import { pathExists, runProgram } from "../program.ts";
import { needsRoot } from "../storage/image-access.ts";
import { fileBytes } from "../storage/volume-bytes.ts";
import { attribute, children } from "../xml.ts";
import { XmlDocument } from "../xml-document.ts";
import { arriving } from "./arriving.ts";
import { type Check, fail, pass } from "./check.ts";
import { intoFile, sizeOf } from "./copy-disk.ts";
import { isSameFile } from "./same-file.ts";
import type { Sides } from "./sides.ts";

/** Where the system's libvirtd keeps the state of emulated TPMs, each in a folder named by the domain's UUID. */
const TPM_FOLDER = "/var/lib/libvirt/swtpm";

export interface State {
  /** The paths that are copied; undefined for what the domain does not have, or not yet. */
  nvram: string | undefined;
  tpm: string | undefined;
}

/** Throws where it cannot be seen. */
export async function readState(sides: Sides): Promise<State> {
  const { source, uuid } = sides;
  const file = nvramOf(sides);
  const tpm = hasTpm(sides) ? `${TPM_FOLDER}/${uuid}` : undefined;
  const exists = async (path: string | undefined) =>
    path !== undefined && (await pathExists(source, path)) ? path : undefined;
  return { nvram: await exists(file), tpm: await exists(tpm) };
}

const nvramOf = ({ text }: Sides) => nvramFile(new XmlDocument(text), SYSTEM_FOLDER)?.path;

const hasTpm = ({ domain }: Sides) =>
  children(domain, "devices", "tpm").some(
    (one) => attribute(one, "type", "backend") === "emulator",
  );

/** Of a domain that is off; a running one takes them along with its memory. */
export async function checkState(sides: Sides): Promise<Check[]> {
  const { source, target, route } = sides;
  const nvram = nvramOf(sides);
  if (!nvram && !hasTpm(sides)) return [];
  const item = nvram ? "nvram" : "tpm";
  if (route.live) return [pass(item, "it moves with the memory")];
  for (const ctx of [source, target])
    if (!(await loginOf(ctx)).reads_images) throw needsRoot(ctx, `the ${item} is copied`);
  if (!/\/system(\?|$)/.test(source.uri) || !/\/system(\?|$)/.test(target.uri))
    return [fail(item, "it is copied between the libvirtd of two systems only")];
  const state = await readState(sides);
  return [
    ...(nvram ? [await checkPlace(sides, "nvram", state.nvram)] : []),
    ...(hasTpm(sides) ? [await checkPlace(sides, "tpm", state.tpm)] : []),
  ];
}

async function checkPlace(sides: Sides, item: string, path: string | undefined): Promise<Check> {
  const { source, target } = sides;
  if (!path) return pass(item, "it has none yet");
  if (!(await pathExists(target, path))) return pass(item, `${path} is copied`);
  if (await isSameFile(sides, path))
    return pass(item, `${path} of ${target.host} is that of ${source.host}`);
  return fail(item, `${target.host} has ${path} already`);
}

/** What both see stays where it is. */
export async function copyState(sides: Sides, journal: Journal, state: State) {
  const { source } = sides;
  if (state.nvram && !(await isSameFile(sides, state.nvram))) {
    const path = state.nvram;
    const stream = await fileBytes(source, path, await sizeOf(source, path)).stream();
    const body = { size: await sizeOf(source, path), stream: () => stream };
    const how = { field: "nvram", phase: "copying the firmware's variables", progress: () => {} };
    await intoFile(sides, journal, { from: path, place: path }, body, how);
  }
  if (state.tpm && !(await isSameFile(sides, state.tpm))) await copyTpm(sides, journal, state.tpm);
}

/** Some kilobytes, with owners by name. */
async function copyTpm(sides: Sides, journal: Journal, path: string) {
  const { source, target, uuid } = sides;
  const read = 'tar -C "$1" -cf - -- "$2" | base64';
  const packed = await runProgram(source, ["sh", "-c", read, "sh", TPM_FOLDER, uuid], {}, "tar");
  if (packed.stdout.length < 100) throw new HyperError("command_failed", `${path} cannot be read`);
  const write = 'mkdir -p -m 711 -- "$1" && base64 -d | tar -C "$1" -xpf -';
  await journal.track(arriving(sides, { kind: "folder", path }), () =>
    runProgram(target, ["sh", "-c", write, "sh", TPM_FOLDER], { input: packed.stdout }, "tar"),
  );
}
