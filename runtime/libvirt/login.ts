/** What the login of a hypervisor can and cannot do there beside virsh. */
import * as z from "zod";
import { HyperError } from "../core/errors.ts";
import { memoize } from "../core/memoize.ts";
import { settings } from "../core/settings.ts";
import type { Context } from "../hypervisor/context.ts";
import { programError } from "../hypervisor/virsh-errors.ts";
import { assertIsolated, isolate } from "./isolation.ts";
import { lines } from "./virsh-output.ts";

/** What needs each program. */
const PROGRAMS: Record<string, string> = {
  "qemu-img": "copy, convert and export images",
  "virt-sysprep": "seal templates",
  "virt-customize": "customize what a template is deployed to",
  scrub: "wipe with an algorithm other than zero and trim",
};

export const Login = z.object({
  /** As whom programs run there, such as qemu-img; root with sudo. */
  user: z.string(),
  root: z.boolean(),
  /** Whether they run through `sudo -n`, as configured. */
  sudo: z.boolean(),
  /** Whether they may open images and NVRAM as libvirtd makes them. */
  reads_images: z.boolean(),
  /** Those that are installed. */
  programs: z.record(z.string(), z.boolean()),
  /** What is not possible, each with the reason. */
  cannot: z.array(z.string()),
});

const LOGIN_TIMEOUT_MS = 5000;
const CACHE_MS = 60_000;
const SCRIPT =
  'id -u && id -un && for p; do if command -v "$p" >/dev/null; then echo "$p"; fi; done';

const known = new Map<string, () => Promise<z.output<typeof Login>>>();

/** Asks the hypervisor at most once a minute. Throws why it is unknown. */
export function loginOf(ctx: Pick<Context, "exec" | "host" | "uri">) {
  const key = `${ctx.host} ${ctx.uri}`;
  const read = known.get(key) ?? memoize(() => readLogin(ctx), CACHE_MS);
  known.set(key, read);
  return read();
}

export async function readLogin({
  exec,
  host,
  uri,
}: Pick<Context, "exec" | "host" | "uri">): Promise<z.output<typeof Login>> {
  const names = Object.keys(PROGRAMS);
  const result = await exec(["sh", "-c", SCRIPT, "sh", ...names], { timeout: LOGIN_TIMEOUT_MS });
  if (result.exitCode !== 0) throw programError("sh", result);
  const [uid, user = "", ...installed] = lines(result.stdout);
  const root = uid === "0";
  const reads_images = root || /\/session(\?|$)/.test(uri); // the session's libvirtd is the login's own
  const missing = names.filter((name) => !installed.includes(name));
  const programs = Object.fromEntries(names.map((name) => [name, !missing.includes(name)]));
  const cannot = missing.map((name) => `${PROGRAMS[name]}: ${name} is not installed`);
  if (!reads_images) {
    cannot.unshift(
      `open images and NVRAM that belong to root: programs run as ${user}; log in as root, or set sudo = true in [hosts.${host}]`,
    );
  }
  const refusal = programs["qemu-img"] ? await isolationRefusal(exec) : undefined;
  if (refusal) cannot.push(`${PROGRAMS["qemu-img"]}: ${refusal}`);
  const sudo = settings().hosts[host]?.sudo ?? false;
  return { user, root, sudo, reads_images, programs, cannot };
}

/** Why qemu-img cannot be isolated, without which it opens no image; undefined where it can. */
async function isolationRefusal(exec: Context["exec"]): Promise<string | undefined> {
  const program = "qemu-img";
  const result = await exec(isolate([program, "--version"], {}), { timeout: LOGIN_TIMEOUT_MS });
  try {
    assertIsolated(program, result);
  } catch (error) {
    if (error instanceof HyperError) return error.message;
    throw error;
  }
}
