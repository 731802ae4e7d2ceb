/** The fields of config/generate and workflow/convert, as users of the original know them, and what they mean here. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { Wait } from "../domain/wait-for-guest.ts";
import { NewName } from "../names.ts";
import { Path } from "../storage/import-image.ts";
import { poolFor } from "../storage/locate.ts";
import { windowsId } from "./windows.ts";
import { type ImportWish, OF_DOMAIN, renaming } from "./wish.ts";

export const WORKFLOW = {
  vmdk_path: Path.describe(
    "an OVA, an OVF or VMX beside its disks, or an image, in an allowed folder of the hypervisor",
  ),
  os_type: z.string().max(100).optional().describe("the guest's system: linux or windows"),
  os_flavor: z.string().max(100).optional().describe("more exactly, such as ubuntu or windows11"),
  output_dir: Path.optional().describe(
    "the folder of the pool for the disks; another word for pool",
  ),
  vm_name: NewName.optional().describe("of the domain; the source's unless given"),
  memory: OF_DOMAIN.memory,
  vcpus: OF_DOMAIN.cpus,
  uefi: z.boolean().optional().describe("the source's firmware unless given"),
  virtio_drivers: z
    .boolean()
    .optional()
    .describe("put drivers in with virt-v2v; unless given, where Windows needs them"),
  flatten: z.boolean().default(true).describe("disks on their own: they always are"),
  compress: z.boolean().default(false).describe("not for the disks of a domain: use convert/vm"),
  libvirt_test: z.boolean().default(true).describe("start the domain, and see that it runs"),
  wait: Wait.optional().describe("also wait for its agent, address or SSH server"),
  generate_service: z.boolean().default(false).describe("not needed: jobs run in the server"),
  network: OF_DOMAIN.network,
  networks: OF_DOMAIN.networks,
  keep_macs: OF_DOMAIN.keep_macs,
  pool: OF_DOMAIN.pool.optional().describe('of the disks; "default" unless given'),
  osinfo: OF_DOMAIN.osinfo,
};

const Workflow = z.object(WORKFLOW);
export type Workflow = z.output<typeof Workflow>;

/** The fields of an import that have another name here. */
const FIELDS: [RegExp, string][] = [
  [/^cpus: /, "vcpus: "],
  [/^firmware: /, "uefi: "],
  [/^drivers: /, "virtio_drivers: "],
];

/** Runs a step of an import; its errors have the names of the fields here. */
export const asWorkflow = <T>(step: () => Promise<T>) => renaming(FIELDS, step);

/** Throws for what cannot be done. */
export async function toImport(ctx: Context, input: Workflow): Promise<ImportWish> {
  if (!input.flatten)
    throw new HyperError(
      "unsupported",
      "flatten: an image that stands on others is refused, so that every disk is on its own",
    );
  if (input.compress)
    throw new HyperError(
      "unsupported",
      "compress: a domain writes to its disks, which are not compressed then; convert/vm makes compressed files",
    );
  const {
    vm_name,
    memory,
    network,
    networks,
    keep_macs,
    virtio_drivers,
    uefi,
    os_type,
    os_flavor,
  } = input;
  const words = os_type && !/^linux$/i.test(os_type) ? `${os_type} ${os_flavor ?? ""}` : undefined;
  return {
    ...{ vm_name, memory, cpus: input.vcpus, network, networks, keep_macs },
    pool: await poolOf(ctx, input),
    firmware: uefi === undefined ? undefined : uefi ? "uefi" : "bios",
    drivers: virtio_drivers === undefined ? "auto" : virtio_drivers ? "virt-v2v" : "none",
    osinfo: input.osinfo ?? windowsId(words),
    ...{ start: input.libvirt_test, autostart: false, tpm: false },
  };
}

async function poolOf(ctx: Context, { pool, output_dir }: Workflow): Promise<string> {
  if (output_dir === undefined) return pool ?? "default";
  const found = await poolFor(ctx, `${output_dir.replace(/\/+$/, "")}/disk`, "output_dir");
  if (found !== undefined && (pool === undefined || pool === found)) return found;
  const why =
    found === undefined
      ? "is the folder of no active pool"
      : `is the folder of pool ${found}, not of ${pool}`;
  const text = `output_dir: ${output_dir} ${why}; the disks of a domain are volumes, so give a pool`;
  throw new HyperError("invalid_input", text);
}
