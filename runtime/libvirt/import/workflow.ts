/** The workflow of moving in: inspect, convert, import, start, verify. A failure undoes all of it. */

import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { deleteDomain, storageSnapshot } from "../domain/delete.ts";
import { Guest, waitForGuest } from "../domain/wait-for-guest.ts";
import { rollback } from "../rollback.ts";
import { describeSource } from "./describe.ts";
import { Imported, importMachine } from "./import.ts";
import { asWorkflow, toImport, type Workflow } from "./workflow-input.ts";

export const Step = z.object({
  step: z.enum(["inspect", "convert", "start", "verify"]),
  seconds: z.number(),
  detail: z.string(),
});
type Step = z.output<typeof Step>;

export const WorkflowResult = z.object({
  domain: Imported,
  steps: z.array(Step),
  guest: Guest.optional().describe("what was waited for"),
});

/** A guest whose kernel cannot start ends, or starts over, within seconds. */
const LOOKS = 5;
const LOOK_MS = 1000;

export async function runWorkflow(
  ctx: Context,
  input: Workflow,
): Promise<z.output<typeof WorkflowResult>> {
  const steps: Step[] = [];
  const from = { field: "vmdk_path", path: input.vmdk_path };
  const timed = async <T>(
    step: Step["step"],
    work: () => Promise<T>,
    detail: (result: T) => string,
  ) => {
    const begun = performance.now();
    ctx.log.info(`Workflow: ${step}.`);
    const result = await work();
    const seconds = Math.round(performance.now() - begun) / 1000;
    steps.push({ step, seconds, detail: detail(result) });
    return result;
  };
  const wish = await toImport(ctx, input);
  await timed(
    "inspect",
    async () => {
      const found = await describeSource(ctx, from.field, from.path);
      if (found.accepted) return found;
      throw new HyperError("invalid_input", found.reason ?? `${from.field}: is refused`);
    },
    ({ kind, machine, image }) =>
      machine
        ? `${kind} with ${machine.disks.length} disks`
        : `an image of format ${image?.format}`,
  );
  const domain = await timed(
    "convert",
    () => asWorkflow(() => importMachine(ctx, from, { ...wish, start: false })),
    ({ name, disks, source }) =>
      `domain ${name} on ${disks.map(({ path }) => path).join(", ")}${source.drivers ? ", with drivers of virt-v2v" : ""}`,
  );
  if (!input.libvirt_test) return { domain, steps };
  try {
    const { uuid } = domain;
    await timed(
      "start",
      () => ctx.virsh(["start", "--domain", uuid]),
      () => "started",
    );
    const guest = await timed(
      "verify",
      () => verify(ctx, uuid, input),
      (found) =>
        found
          ? `seen after ${found.seconds} s, at ${found.addresses.map(({ address }) => address).join(", ") || "no address"}`
          : "it runs; what its guest does was not asked",
    );
    return { domain: { ...domain, started: true }, steps, ...(guest && { guest }) };
  } catch (error) {
    const left = `domain ${domain.name} was made, and could not be removed`;
    return rollback(error, left, () => deleteDomain(ctx, domain.uuid, storageSnapshot(ctx, true)));
  }
}

/** Undefined where nothing of the guest was asked for: then the domain must run, and go on running. */
async function verify(ctx: Context, uuid: string, { wait }: Workflow) {
  for (let look = 0; look < LOOKS; look++) {
    const state = (await ctx.virsh(["domstate", "--domain", uuid, "--reason"])).trim();
    if (!/^running /.test(state))
      throw new HyperError(
        "not_active",
        `libvirt_test: the domain was started, and is ${state} after ${look} s`,
      );
    await sleep(LOOK_MS);
  }
  return wait && waitForGuest(ctx, uuid, wait);
}
