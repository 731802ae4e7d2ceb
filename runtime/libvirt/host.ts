/** A hypervisor as a whole: whether it answers, its versions, and the programs that it has. */
import * as z from "zod";
import { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { programError } from "../hypervisor/virsh-errors.ts";
import { keyValues, lines } from "./virsh-output.ts";

/** Whether a hypervisor answers, and its versions; null where unknown. */
export const Reached = z.object({
  host: z.string(),
  uri: z.string(),
  reachable: z.boolean(),
  /** The libvirt daemon's version, or the library's where there is none (test:///). */
  libvirt: z.string().nullable(),
  /** Such as "QEMU 7.2.22". */
  hypervisor: z.string().nullable(),
  /** Why it cannot be reached. */
  error: z.string().nullable(),
});

/** A hypervisor that takes longer counts as unreachable: people wait for this answer. */
const REACH_TIMEOUT_MS = 5000;

export async function reach(ctx: Context): Promise<z.output<typeof Reached>> {
  const { host } = ctx;
  const [uri = ""] = ctx.uri.split("?"); // the paths of its keys are not shown
  try {
    const names = await versionNames(ctx, { timeout: REACH_TIMEOUT_MS });
    return { host, uri, reachable: true, ...names, error: null };
  } catch (error) {
    const text = (error as Error).message;
    return { host, uri, reachable: false, libvirt: null, hypervisor: null, error: text };
  }
}

/** Its versions in words, as in `Reached`, however long it takes within the limit of a command. */
export async function versionNames(ctx: Asking, options: { timeout?: number } = {}) {
  const { answer } = await readVersions(ctx, options);
  const library = answer["Using library"]?.replace("libvirt ", "");
  const libvirt = answer["Running against daemon"] ?? library ?? null;
  return { libvirt, hypervisor: answer["Running hypervisor"] ?? null };
}

const VERSION_CACHE_MS = 600_000;
const versions = new Map<string, { at: number; version: number[] }>();

type Asking = Pick<Context, "host" | "virsh">;

/** `virsh version` of a hypervisor, by its own keys. */
async function readVersions({ host, virsh }: Asking, options: { timeout?: number } = {}) {
  const answer = keyValues(await virsh(["version", "--daemon"], options));
  const daemon = answer["Running against daemon"];
  const version = daemon ? daemon.split(".").map(Number) : [];
  versions.set(host, { at: performance.now(), version });
  return { answer, version };
}

/** The version of a hypervisor's libvirtd, such as [9, 0, 0]; empty where it is unknown. */
export const readLibvirtVersion = async (ctx: Asking) => (await readVersions(ctx)).version;

/** The same, as it was at most ten minutes ago. */
export async function recentLibvirtVersion(ctx: Asking): Promise<number[]> {
  const cached = versions.get(ctx.host);
  if (cached && performance.now() - cached.at < VERSION_CACHE_MS) return cached.version;
  return readLibvirtVersion(ctx);
}

type Executor = Pick<Context, "exec">;

/** The programs of a list that are on the hypervisor's PATH, in one process there. */
export async function findPrograms({ exec }: Executor, programs: string[]): Promise<Set<string>> {
  const script =
    'for program; do if command -v "$program" >/dev/null; then echo "$program"; fi; done';
  const result = await exec(["sh", "-c", script, "sh", ...programs]);
  if (result.exitCode !== 0) throw programError("sh", result);
  return new Set(lines(result.stdout));
}

export async function hasProgram(ctx: Executor, program: string): Promise<boolean> {
  return (await findPrograms(ctx, [program])).has(program);
}

/** Throws `unsupported` when a program is missing, naming the field that needs it and the package that has it. */
export async function needProgram(
  ctx: Executor & Pick<Context, "host">,
  program: string,
  { field, package: name = program }: { field: string; package?: string },
) {
  if (await hasProgram(ctx, program)) return;
  const text = `${field} needs ${program} on hypervisor ${ctx.host}; install its package "${name}"`;
  throw new HyperError("unsupported", text);
}
