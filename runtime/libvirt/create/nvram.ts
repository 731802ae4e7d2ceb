/** The firmware's variables of a new domain: libvirt takes a file that is there already, with its boot entries and keys. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { SYSTEM_FOLDER } from "../clone/nvram.ts";
import { readEvery } from "../domain/every.ts";
import { pathExists } from "../program.ts";
import { children, parseXml, textOf } from "../xml.ts";
import type { Hardware } from "./definition.ts";
import type { DomainWish } from "./wish.ts";

/** Endings of these files, which newer libvirt takes from the distribution's firmware: Fedora's and RHEL's are qcow2. */
const VARIABLES = ["fd", "qcow2", "raw"];

/** Throws where libvirt would take the variables that another domain has, or has left. */
export async function assertNoNvram(
  ctx: Context,
  { name }: DomainWish,
  { firmware }: Pick<Hardware, "firmware">,
) {
  if (firmware === "bios" || /\/session(\?|$)/.test(ctx.uri)) return;
  for (const format of VARIABLES) {
    const file = `${SYSTEM_FOLDER}/${name}_VARS.${format}`;
    // a login user who may not look there learns nothing, and libvirt goes on as it always does
    if (!(await pathExists(ctx, file).catch(() => false))) continue;
    const user = await findUser(ctx, file);
    if (user !== undefined) throw inUse(file, user);
    const text = `name: another domain '${name}' has left its firmware's variables, ${file}; remove the file first`;
    throw new HyperError("already_exists", text);
  }
}

/** A domain that was renamed keeps the file that has its old name. Throws where a definition cannot be read. */
async function findUser(ctx: Context, file: string): Promise<string | undefined> {
  for (const { text } of await readEvery(ctx)) {
    const domain = parseXml(text, "domain");
    const [nvram] = children(domain, "os", "nvram");
    const paths = [textOf(nvram)?.trim(), ...children(nvram, "source").map((one) => one["@file"])];
    if (paths.includes(file)) return textOf(domain, "name") ?? "";
  }
  return undefined;
}

function inUse(file: string, domain: string) {
  const text = `name: domain ${domain} uses the file that the firmware's variables would have, ${file}; take another name`;
  return new HyperError("in_use", text, { details: { domains: [domain] } });
}
