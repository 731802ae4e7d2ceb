/** Whether the two QEMU have the certificates with which libvirt encrypts what flows between them. */
import type { Context } from "../../hypervisor/context.ts";
import { pathExists, runProgram } from "../program.ts";
import { type Check, fail, pass, warning } from "./check.ts";
import type { Sides } from "./sides.ts";

const CONFIG = "/etc/libvirt/qemu.conf";
/** libvirt takes it, where it exists, before the folder for all of QEMU's connections. */
const OWN_FOLDER = "/etc/pki/libvirt-migrate";
const DEFAULT_FOLDER = "/etc/pki/qemu";

/** The side that is called serves; the side that calls shows a certificate, unless the other does not ask for one. */
const FILES = {
  server: ["ca-cert.pem", "server-cert.pem", "server-key.pem"],
  client: ["ca-cert.pem", "client-cert.pem", "client-key.pem"],
};

export async function checkTls({ source, target, route }: Sides): Promise<Check[]> {
  if (!route.live || !route.tls) return [];
  const there = await readConfig(target);
  const isAsked = (settingOf(there, "verify") ?? "1") !== "0";
  const here = isAsked ? FILES.client : FILES.client.slice(0, 1);
  return Promise.all([
    checkSide(source, await readConfig(source), here),
    checkSide(target, there, FILES.server),
  ]);
}

async function checkSide(ctx: Context, config: string | undefined, files: string[]) {
  if (config === undefined) {
    const text = `${ctx.host}: ${CONFIG} cannot be read, so where QEMU's certificates are is unknown`;
    return warning("tls", text);
  }
  const folder = await folderOf(ctx, config);
  const found = await Promise.all(files.map((name) => mayHave(ctx, `${folder}/${name}`)));
  const missing = files.filter((_, i) => found[i] === false);
  if (missing.length > 0)
    return fail("tls", `QEMU of ${ctx.host} has no ${missing.join(", ")} in ${folder}`);
  if (found.includes(undefined))
    return warning("tls", `whether ${ctx.host} has ${files.join(", ")} in ${folder} is unknown`);
  return pass("tls", `${ctx.host} has certificates for QEMU in ${folder}`);
}

/** Undefined where it cannot be read: it is root's. */
async function readConfig(ctx: Context): Promise<string | undefined> {
  if ((await mayHave(ctx, CONFIG)) === false) return "";
  return runProgram(ctx, ["cat", "--", CONFIG]).then(
    ({ stdout }) => stdout,
    () => undefined,
  );
}

/** Of `migrate_tls_x509_KEY`, else `default_tls_x509_KEY`; the last line counts. */
function settingOf(config: string | undefined, key: string): string | undefined {
  const read = (name: string) => {
    const line = new RegExp(`^\\s*${name}_tls_x509_${key}\\s*=\\s*["']?([^"'#\\n]*)`, "gm");
    return [...(config ?? "").matchAll(line)].at(-1)?.[1]?.trim();
  };
  return read("migrate") ?? read("default");
}

async function folderOf(ctx: Context, config: string): Promise<string> {
  const isSet = /^\s*migrate_tls_x509_cert_dir\s*=/m.test(config);
  if (!isSet && (await mayHave(ctx, OWN_FOLDER))) return OWN_FOLDER;
  return settingOf(config, "cert_dir") || DEFAULT_FOLDER;
}

/** Undefined where nobody can tell. */
const mayHave = (ctx: Context, path: string) => pathExists(ctx, path).catch(() => undefined);
