/** What a hypervisor can give a new domain, as `capabilities` and `domcapabilities` tell. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { attribute, children, type Element, parseXml, textOf } from "../xml.ts";
import type { DomainWish } from "./wish.ts";

export type VirtType = "kvm" | "qemu";

export interface Capabilities {
  arch: string;
  virtType: VirtType;
  /** Why it is emulated, although nobody has asked for that. */
  whyEmulated: string | undefined;
  /** As it is asked for, such as `q35`. */
  machine: string;
  /** As libvirt will have it, such as `pc-q35-7.2`. */
  canonicalMachine: string;
  maxVcpus: number;
  uefi: boolean;
  secureBoot: boolean;
  /** Such as host-passthrough, host-model and maximum. */
  cpuModes: string[];
  /** By name; "no" where the hypervisor's CPU lacks something. */
  cpuModels: Map<string, string>;
  buses: string[];
  graphics: string[];
  videos: string[];
  tpmModels: string[];
  tpmBackends: string[];
}

type Wanted = Pick<DomainWish, "machine" | "virt_type">;

export async function readCapabilities(ctx: Context, wanted: Wanted): Promise<Capabilities> {
  const host = parseXml(await ctx.virsh(["capabilities"]), "capabilities");
  const arch = textOf(host, "host", "cpu", "arch") ?? "";
  const guest = children(host, "guest", "arch").find((one) => one["@name"] === arch);
  if (!guest) {
    const text = `hypervisor ${ctx.host} runs no guests of its own architecture ${arch}`;
    throw new HyperError("unsupported", text);
  }
  const { virtType, whyEmulated } = await chooseVirtType(ctx, arch, guest, wanted);
  const machine = wanted.machine ?? usualMachine(arch);
  assertMachine(guest, virtType, machine, arch);
  const which = ["--arch", arch, "--virttype", virtType, "--machine", machine];
  const told = await ctx.virsh(["domcapabilities", ...which]).catch((error: HyperError) => {
    if (error.code !== "unsupported") throw error;
    const text = `hypervisor ${ctx.host} does not tell what a domain can have there: ${error.message}`;
    throw new HyperError("unsupported", text, { cause: error });
  });
  const domain = parseXml(told, "domainCapabilities");
  return { arch, virtType, whyEmulated, machine, ...readDomainCapabilities(domain) };
}

/** Of x86 the one with PCI Express. */
const usualMachine = (arch: string) =>
  ({ x86_64: "q35", i686: "q35", s390x: "s390-ccw-virtio", ppc64le: "pseries" })[arch] ?? "virt";

async function chooseVirtType(
  ctx: Context,
  arch: string,
  guest: Element,
  { virt_type }: Wanted,
): Promise<Pick<Capabilities, "virtType" | "whyEmulated">> {
  const types = children(guest, "domain").map((one) => one["@type"]);
  const refused = types.includes("kvm")
    ? await whyNoKvm(ctx, arch)
    : "libvirt finds no KVM on the hypervisor";
  if (virt_type === "qemu" || (virt_type === undefined && refused))
    return { virtType: "qemu", whyEmulated: virt_type ? undefined : refused };
  if (!types.includes("kvm"))
    throw new HyperError("unsupported", `virt_type: hypervisor ${ctx.host} has no KVM`);
  return { virtType: "kvm", whyEmulated: undefined };
}

/**
 * libvirt takes a device /dev/kvm for KVM. Without virtualisation in the CPU, as within many virtual machines, it may
 * be there and run no usual guest. virt-host-validate judges by the same words.
 */
async function whyNoKvm({ exec }: Context, arch: string): Promise<string | undefined> {
  if (!/^(x86_64|i686)$/.test(arch)) return undefined;
  const { exitCode } = await exec(["grep", "-Eqw", "vmx|svm", "/proc/cpuinfo"]);
  return exitCode === 1
    ? "the hypervisor's CPU has neither vmx nor svm, which KVM needs"
    : undefined;
}

/** Throws `invalid_input` for a machine that QEMU does not have; libvirt would tell it without the field's name. */
function assertMachine(guest: Element, virtType: VirtType, machine: string, arch: string) {
  const own = children(guest, "domain").find((one) => one["@type"] === virtType);
  const machines = [...children(own, "machine"), ...children(guest, "machine")];
  const names = machines.map((one) => `${one["#text"]}`);
  if (names.includes(machine) || names.length === 0) return;
  const short = machines.filter((one) => one["@canonical"]).map((one) => `${one["#text"]}`);
  const few = [...new Set(short.length > 0 ? short : names)].join(", ");
  const text = `machine: ${JSON.stringify(machine)} is no machine of ${arch} here; there are ${few} and their versions`;
  throw new HyperError("invalid_input", text);
}

/** The values of an enumeration, such as the buses of disks. */
const values = (domain: Element, name: string, ...path: string[]) =>
  children(domain, ...path, "enum")
    .filter((one) => one["@name"] === name)
    .flatMap((one) => children(one, "value").map((value) => `${value["#text"]}`));

const isSupported = (one: Element) => one["@supported"] === "yes";

export function readDomainCapabilities(
  domain: Element,
): Omit<Capabilities, "arch" | "virtType" | "whyEmulated" | "machine"> {
  const modes = children(domain, "cpu", "mode");
  const models = modes
    .filter((one) => one["@name"] === "custom")
    .flatMap((one) => children(one, "model"));
  return {
    canonicalMachine: textOf(domain, "machine") ?? "",
    maxVcpus: Number(attribute(domain, "max", "vcpu") ?? Number.POSITIVE_INFINITY),
    uefi: values(domain, "firmware", "os").includes("efi"),
    secureBoot: values(domain, "secure", "os", "loader").includes("yes"),
    cpuModes: modes.filter(isSupported).map((one) => `${one["@name"]}`),
    cpuModels: new Map(models.map((one) => [`${one["#text"]}`, `${one["@usable"]}`])),
    buses: values(domain, "bus", "devices", "disk"),
    graphics: values(domain, "type", "devices", "graphics"),
    videos: values(domain, "modelType", "devices", "video"),
    tpmModels: values(domain, "model", "devices", "tpm"),
    tpmBackends: values(domain, "backendModel", "devices", "tpm"),
  };
}
