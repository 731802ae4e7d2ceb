/** The file of a domain's firmware variables, and its copy. */
import { posix } from "node:path";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Journal } from "../journal.ts";
import { pathExists, runProgram } from "../program.ts";
import { mayRead, mayWrite, needsRoot } from "../storage/image-access.ts";
import { xml } from "../xml.ts";
import { descend, type XmlDocument } from "../xml-document.ts";
import { siblingPath } from "./identity.ts";
import type { CloneRequest } from "./plan.ts";

export interface NvramFile {
  path: string;
  /** libvirt names it after the domain, and its definition does not. */
  isGenerated: boolean;
  set(path: string): void;
}

/** Where the libvirtd of the system generates them. */
export const SYSTEM_FOLDER = "/var/lib/libvirt/qemu/nvram";

/**
 * In either of libvirt's spellings. Where libvirt chooses the firmware itself, its definition has no path (9.0): the file
 * is in the folder that `generatedIn` tells.
 */
export function nvramFile(
  doc: XmlDocument,
  generatedIn: string | undefined,
): NvramFile | undefined {
  const [nvram] = doc.find("os", "nvram");
  const [source] = nvram ? descend([nvram], ["source"]) : [];
  if (source) {
    const { file } = source.attributes;
    if (!file) throw new HyperError("unsupported", "os: the NVRAM is no file and cannot be copied");
    return { path: file, isGenerated: false, set: (to) => doc.setAttribute(source, "file", to) };
  }
  const named = nvram && doc.textOf(nvram);
  if (named) return { path: named, isGenerated: false, set: (to) => doc.setText(nvram, to) };
  const [os] = doc.find("os");
  if (generatedIn === undefined || os?.attributes.firmware !== "efi") return undefined;
  const path = `${generatedIn}/${doc.textOf(doc.find("name")[0])}_VARS.fd`;
  const set = (to: string) => doc.prepend(os, `${xml`<nvram>${to}</nvram>`}`);
  return { path, isGenerated: true, set };
}

/** The same of a domain of this hypervisor, whose folder is asked for only where the definition has no path. */
export async function findNvram(ctx: Context, doc: XmlDocument): Promise<NvramFile | undefined> {
  const named = nvramFile(doc, undefined);
  const isChosen = doc.find("os")[0]?.attributes.firmware === "efi";
  return named || !isChosen ? named : nvramFile(doc, await nvramFolder(ctx));
}

/** Undefined for a driver that has none. Source: libvirt, qemu_conf.c. */
async function nvramFolder(ctx: Context): Promise<string | undefined> {
  const { pathname } = new URL(ctx.uri);
  if (pathname === "/system") return SYSTEM_FOLDER;
  if (pathname !== "/session") return undefined;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
  const script = 'printf %s "${XDG_CONFIG_HOME:-$HOME/.config}"';
  const { stdout } = await runProgram(ctx, ["sh", "-c", script]);
  return `${stdout}/libvirt/qemu/nvram`;
}

export interface Nvram {
  path: string;
  copy: string;
}

/**
 * Names the file of the clone's firmware variables in the definition, and tells what is to be copied. If the source
 * has none yet, libvirt makes the clone's from the template.
 */
export async function planNvram(
  ctx: Context,
  doc: XmlDocument,
  { source, target }: CloneRequest,
): Promise<Nvram | undefined> {
  const nvram = await findNvram(ctx, doc);
  if (!nvram) return undefined;
  const { path, isGenerated } = nvram;
  const folder = posix.dirname(path);
  const copy = isGenerated ? `${folder}/${target}_VARS.fd` : siblingPath(path, source, target);
  const denied = () => needsRoot(ctx, `a clone copies the NVRAM file ${path}`);
  const exists = (file: string) =>
    pathExists(ctx, file).catch((error: HyperError) => {
      throw error.code === "permission_denied" ? denied() : error;
    });
  const isCopied = await exists(path);
  if (isCopied && (await exists(copy)))
    throw new HyperError("already_exists", `the NVRAM file ${copy} exists already`);
  if (isCopied && !((await mayRead(ctx, path, "raw")) && (await mayWrite(ctx, folder))))
    throw denied();
  if (!isGenerated) nvram.set(copy);
  return isCopied ? { path, copy } : undefined;
}

export async function copyNvram(ctx: Context, journal: Journal, { path, copy }: Nvram) {
  ctx.log.info(`The firmware's variables are copied from ${path} to ${copy}.`);
  await journal.track({ kind: "file", path: copy }, () =>
    runProgram(ctx, ["cp", "-p", "--", path, copy]),
  );
}
