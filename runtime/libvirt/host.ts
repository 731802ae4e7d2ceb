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

export async function reach({ host, virsh, ...ctx }: Context): Promise<z.output<typeof Reached>> {
  const [uri = ""] = ctx.uri.split("?"); // the paths of its keys are not shown
  try {
    const versions = keyValues(await virsh(["version", "--daemon"], { timeout: REACH_TIMEOUT_MS }));
    const library = versions["Using library"]?.replace("libvirt ", "");
    const libvirt = versions["Running against daemon"] ?? library ?? null;
    const hypervisor = versions["Running hypervisor"] ?? null;
    return { host, uri, reachable: true, libvirt, hypervisor, error: null };
  } catch (error) {
    const text = (error as Error).message;
    return { host, uri, reachable: false, libvirt: null, hypervisor: null, error: text };
  }
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
