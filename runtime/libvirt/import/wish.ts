/** What becomes of an appliance: the fields of the ways in, and the wish for a domain that they make of it. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { DomainWish } from "../create/wish.ts";
import { NetworkName, NewName, PoolName } from "../names.ts";
import { NewMemory } from "../size.ts";
import { SourceFormat } from "../storage/import-image.ts";
import type { Appliance } from "./appliance.ts";
import type { Source } from "./source.ts";
import { windowsId } from "./windows.ts";

const { shape } = DomainWish;

/** The fields of a domain that is made of an appliance; what the appliance says counts where they say nothing. */
export const OF_DOMAIN = {
  vm_name: NewName.optional().describe("of the new domain; the source's unless given"),
  memory: NewMemory.optional().describe("MiB; the source's unless given, else 2048"),
  cpus: z.int().min(1).max(4096).optional().describe("the source's unless given, else 2"),
  network: NetworkName.nullable()
    .optional()
    .describe(
      'for interfaces whose network is not in networks, and for that of an image alone; "default" unless given, null leaves them out',
    ),
  networks: z
    .record(z.string().max(255), NetworkName.nullable())
    .default({})
    .describe(
      'networks of the source and what they become, { "VM Network": "default" }; null leaves the interface out',
    ),
  keep_macs: z.boolean().default(false).describe("the interfaces keep their MAC addresses"),
  firmware: shape.firmware.describe(
    "the source's unless given; a VHDX of a generation 2 machine needs uefi, which the file does not say",
  ),
  osinfo: shape.osinfo,
  machine: shape.machine,
  virt_type: shape.virt_type,
  tpm: shape.tpm,
  bus: z
    .enum(["virtio", "scsi", "sata", "ide", "usb"])
    .optional()
    .describe("of the disks: virtio; sata for Windows without drivers"),
  pool: PoolName.default("default").describe("of the new volumes"),
  format: z.enum(["qcow2", "raw"]).optional().describe("of them: qcow2 where the pool can have it"),
  source_format: SourceFormat.optional().describe(
    "of a bare image, the format that it must have; raw also takes a file that looks like an archive",
  ),
  drivers: z
    .enum(["auto", "virt-v2v", "none"])
    .default("auto")
    .describe(
      "virt-v2v puts virtio drivers into the guest, for old Linux and Windows; auto: for Windows, where the hypervisor has virt-v2v and the drivers",
    ),
  start: shape.start,
  autostart: shape.autostart,
  wait: shape.wait,
};

const OfDomain = z.object(OF_DOMAIN);
export type ImportWish = z.output<typeof OfDomain>;

/**
 * The wish for the domain, with empty disks in the place of the images. `hasDrivers`: virtio is there in any guest,
 * once virt-v2v was at work.
 */
export function wishFor(source: Source, wish: ImportWish, hasDrivers: boolean): DomainWish {
  const { appliance, field, file } = source;
  const name = wish.vm_name ?? nameOf(appliance, file.label);
  const { memory = appliance.memory ?? 2048, cpus = appliance.vcpus ?? 2 } = wish;
  const input = {
    ...{
      name,
      memory,
      vcpus: cpus,
      networks: networksFor(appliance, wish, source.kind, hasDrivers),
    },
    disks: appliance.disks.map(({ capacity }) => ({
      ...{ size: `${capacity ?? UNKNOWN_BYTES}B`, pool: wish.pool, format: wish.format },
      bus: wish.bus ?? (hasDrivers ? "virtio" : undefined),
    })),
    firmware: wish.firmware ?? appliance.firmware,
    osinfo: wish.osinfo ?? windowsId(appliance.guest),
    ...{ machine: wish.machine, virt_type: wish.virt_type, tpm: wish.tpm },
    ...{ start: wish.start, autostart: wish.autostart, wait: wish.wait },
  };
  const parsed = DomainWish.safeParse(input);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const text = `${file.label} describes a machine that cannot be made: ${issue?.path.join(".")}: ${issue?.message}`;
  throw new HyperError("invalid_input", text, { details: { field } });
}

/** For the plan alone: the size of an image that was not looked at yet. */
const UNKNOWN_BYTES = 2 ** 20;

function nameOf({ name = "" }: Appliance, label: string): string {
  const parsed = NewName.safeParse(name);
  if (parsed.success) return parsed.data;
  const text = `vm_name: required, since ${label} has ${name ? `the name ${JSON.stringify(name)}, which is none for a domain` : "no name"}`;
  throw new HyperError("invalid_input", text);
}

function networksFor(
  { networks }: Appliance,
  { network = "default", networks: map, keep_macs }: ImportWish,
  kind: Source["kind"],
  hasDrivers: boolean,
) {
  const model = hasDrivers ? { model: "virtio" as const } : {};
  if (kind === "image") {
    const [first] = Object.keys(map);
    if (first !== undefined)
      throw new HyperError(
        "invalid_input",
        `networks: an image alone has no network ${JSON.stringify(first)}; use network`,
      );
    return network === null ? [] : [{ network, ...model }];
  }
  const known = new Set(networks.map((one) => one.network));
  const strange = Object.keys(map).find((name) => !known.has(name));
  if (strange !== undefined) {
    const names = [...known].map((name) => JSON.stringify(name)).join(", ") || "none";
    const text = `networks: the source has no network ${JSON.stringify(strange)}; its networks are ${names}`;
    throw new HyperError("invalid_input", text);
  }
  return networks.flatMap((one) => {
    const target = Object.hasOwn(map, one.network) ? map[one.network] : network;
    if (target === null) return [];
    return [{ network: target, ...model, ...(keep_macs && one.mac && { mac: one.mac }) }];
  });
}

/** The field that names the network of each interface of the domain. */
export const networkFields = (
  { networks }: Pick<Appliance, "networks">,
  wish: Pick<ImportWish, "networks" | "network">,
) =>
  networks.flatMap(({ network }) => {
    if (!Object.hasOwn(wish.networks, network)) return wish.network === null ? [] : "network";
    return wish.networks[network] === null ? [] : "networks";
  });

/** The fields of a new domain that have another name here. */
const FIELDS: [RegExp, string][] = [
  [/^name: /, "vm_name: "],
  [/^vcpus: /, "cpus: "],
  [/^networks\[\d+\]\.mac: /, "keep_macs: "],
  [/^networks\[\d+\](\.\w+)?: /, "network: "],
  [/^disks\[\d+\]\.(pool|bus|format): /, "$1: "],
  [/^disks\[\d+\]\.size( and disks\[\d+\]\.size)*: (?=pool )/, "pool: "],
  [/^disks\[\d+\]: (?=volume )/, "vm_name: "], // after which the volumes are named
];

/** The advice of domain/create that has another word here. */
const ADVICE: [RegExp, string][] = [[/give networks: \[\] for none$/, "give null for none"]];

/** Runs a step of domain/create; its errors have the names of the fields here. `networks`: see `networkFields`. */
export function asImport<T>(step: () => Promise<T>, networks: string[] = []): Promise<T> {
  const own = networks.map((field, i): [RegExp, string] => [
    new RegExp(`^networks\\[${i}\\]\\.network: `),
    `${field}: `,
  ]);
  return renaming([...own, ...FIELDS], () => renaming(ADVICE, step));
}

/** Runs a step; in its errors fields have other names. */
export async function renaming<T>(fields: [RegExp, string][], step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof HyperError)) throw error;
    const [pattern, name] = fields.find(([one]) => one.test(error.message)) ?? [];
    if (pattern === undefined || name === undefined) throw error;
    const { code, details, message } = error;
    throw new HyperError(code, message.replace(pattern, name), { cause: error, details });
  }
}
