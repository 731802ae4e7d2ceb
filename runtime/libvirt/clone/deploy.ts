/** Deploys a domain from a template: a clone with other sizes, another network, and a guest that is set up. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Progress } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { attachSeed } from "../cloud-init/attach-seed.ts";
import { staticAddresses } from "../cloud-init/network-config.ts";
import type { CloudInit } from "../cloud-init/schema.ts";
import { assertSeedPool, makeSeed } from "../cloud-init/seed.ts";
import { domainRef } from "../domain/domain.ts";
import { setMemory, setNetwork, setVcpus } from "../domain/edit.ts";
import { assertEdited } from "../domain/edited.ts";
import { assertWaitable, Guest, type Wait, waitForGuest } from "../domain/wait-for-guest.ts";
import type { Journal } from "../journal.ts";
import { parseXml } from "../xml.ts";
import { cloneDomain, type Draft } from "./clone.ts";
import { type Customize, customizeCommands } from "./customize.ts";
import { runGuestfs } from "./guestfs.ts";
import { DiskCopy } from "./plan.ts";

export const Deployed = z.object({
  name: z.string(),
  uuid: z.string(),
  macs: z.array(z.string()),
  disks: z.array(DiskCopy),
  linked: z.boolean(),
  started: z.boolean(),
  seed: z
    .object({ pool: z.string(), volume: z.string(), path: z.string() })
    .nullable()
    .describe("the volume that cloud-init reads; it goes with the domain's storage"),
  guest: Guest.optional().describe("what was waited for"),
});

export type Deployed = z.output<typeof Deployed>;

export interface DeployRequest {
  template: string;
  name: string;
  linked: boolean;
  memory?: number | undefined;
  vcpus?: number | undefined;
  /** By its name. */
  network?: string | undefined;
  customize: Customize;
  cloudInit?: CloudInit | undefined;
  /** The pool of the first disk unless given. */
  seedPool?: string | undefined;
  autostart: boolean;
  start: boolean;
  wait?: Wait | undefined;
}

/** Everything that is asked is done, or nothing is left. */
export async function deployDomain(
  ctx: Context,
  request: DeployRequest,
  progress?: Progress,
): Promise<Deployed> {
  const { template, name, memory, vcpus, network, linked, autostart, cloudInit } = request;
  const commands = customizeCommands(request.customize);
  const started = request.start || autostart;
  let seed: Deployed["seed"] = null;
  if (cloudInit && request.seedPool) await assertSeedPool(ctx, request.seedPool);
  const clone = await cloneDomain(
    ctx,
    { source: template, target: name, linked },
    {
      ...(progress && { progress }),
      edit(doc) {
        if (memory) setMemory(doc, memory);
        if (vcpus) setVcpus(doc, vcpus);
        if (network) setNetwork(doc, network);
        if (request.wait) assertWaitable(parseXml(`${doc}`, "domain"), request.wait);
      },
      writes: commands.length > 0 ? "customize" : undefined,
      async prepare(disks, journal, draft) {
        if (commands.length > 0) await customize(ctx, journal, disks, request.customize, commands);
        if (cloudInit) seed = await addSeed(ctx, journal, draft, request, cloudInit);
      },
      async finish(domain) {
        await assertEdited(ctx, domain, { memory, vcpus, network });
        if (autostart) await ctx.virsh(["autostart", "--domain", domain]);
        if (started) await ctx.virsh(["start", "--domain", domain]);
      },
    },
  );
  return { ...clone, linked, started, seed };
}

/** What is deployed stays, whether its guest comes or not, and also where the job that waits is cut off. */
export async function awaitGuest(
  ctx: Context,
  deployed: Deployed,
  { wait, cloudInit }: Pick<DeployRequest, "wait" | "cloudInit">,
): Promise<Deployed> {
  if (!wait) return deployed;
  await ctx.job?.keep();
  const known = staticAddresses(cloudInit?.network);
  try {
    return { ...deployed, guest: await waitForGuest(ctx, deployed.uuid, wait, known) };
  } catch (error) {
    if (!(error instanceof HyperError)) throw error;
    const { uuid, macs, disks } = deployed;
    const details = { ...error.details, uuid, macs, disks: disks.map(({ path }) => path) };
    const text = `${error.message}; the domain is deployed and stays`;
    throw new HyperError(error.code, text, { cause: error, details });
  }
}

async function customize(
  ctx: Context,
  journal: Journal,
  disks: z.output<typeof DiskCopy>[],
  { packages }: Customize,
  commands: string[],
) {
  const options = packages?.length ? [] : ["--no-network"];
  const argv = [...options, "--commands-from-file", "/dev/stdin"];
  await runGuestfs(ctx, journal, "virt-customize", disks, argv, `${commands.join("\n")}\n`);
}

async function addSeed(
  ctx: Context,
  journal: Journal,
  { doc, uuid, pool: own }: Draft,
  { name, seedPool }: DeployRequest,
  cloudInit: CloudInit,
) {
  const pool = seedPool ?? own;
  if (!pool) {
    const text = `cloud_init: no disk of ${name} is in a pool; name one for the seed in seed_pool`;
    throw new HyperError("unsupported", text);
  }
  const seed = await makeSeed(ctx, journal, { pool, domain: name, uuid, cloudInit });
  attachSeed(doc, seed, uuid);
  return seed;
}

/** The caller may have given its UUID, which a definition cannot name. Throws `not_found`. */
export async function nameOfNetwork({ virsh }: Context, network: string): Promise<string> {
  const info = await virsh(["net-info", "--network", network]);
  return info.match(/^Name: {11}(.*)$/m)?.[1] ?? network;
}

/** Whether template/create has made it, so that it is meant to stay as it is below others. */
export async function isMarkedTemplate(ctx: Context, template: string): Promise<boolean> {
  const text = await ctx.virsh([
    "dumpxml",
    "--domain",
    await domainRef(ctx, template),
    "--inactive",
  ]);
  return text.includes("<hypersdk:template");
}
