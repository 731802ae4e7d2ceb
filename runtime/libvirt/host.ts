/** A hypervisor as a whole: whether it answers, and its versions. */
import * as z from "zod";
import type { Context } from "../hypervisor/context.ts";
import { keyValues } from "./virsh-output.ts";

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

/** Milliseconds until a hypervisor counts as unreachable: people wait for this answer. */
const PATIENCE = 5000;

export async function reach({ host, virsh, ...ctx }: Context): Promise<z.output<typeof Reached>> {
  const [uri = ""] = ctx.uri.split("?"); // where its keys are is nobody's business
  try {
    const said = keyValues(await virsh(["version", "--daemon"], { timeout: PATIENCE }));
    const library = said["Using library"]?.replace("libvirt ", "");
    const libvirt = said["Running against daemon"] ?? library ?? null;
    const hypervisor = said["Running hypervisor"] ?? null;
    return { host, uri, reachable: true, libvirt, hypervisor, error: null };
  } catch (error) {
    const text = (error as Error).message;
    return { host, uri, reachable: false, libvirt: null, hypervisor: null, error: text };
  }
}
