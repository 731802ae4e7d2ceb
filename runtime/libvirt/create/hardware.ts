/** The machine of a new domain: what was asked, and else what suits the hypervisor. Throws for what it does not have. */
import { HyperError } from "../../core/errors.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Cpu, Firmware, Hardware } from "./definition.ts";
import type { GuestSystem } from "./osinfo.ts";
import type { DomainWish } from "./wish.ts";

export function chooseHardware(
  wish: DomainWish,
  has: Capabilities,
  system: GuestSystem | undefined,
): Hardware {
  if (wish.vcpus > has.maxVcpus) {
    const text = `vcpus: machine ${has.canonicalMachine} has at most ${has.maxVcpus}, not ${wish.vcpus}`;
    throw new HyperError("invalid_input", text);
  }
  return {
    ...{ arch: has.arch, virtType: has.virtType, machine: has.machine },
    isQ35: /q35/.test(has.canonicalMachine),
    firmware: chooseFirmware(wish, has),
    cpu: chooseCpu(wish, has),
    graphics: chooseGraphics(wish, has),
    video: videosFor(system).find((model) => has.videos.includes(model)),
    tpm: wish.tpm ? chooseTpm(has) : undefined,
    system,
  };
}

/** All show a picture before the guest has a driver; ramfb has none at all. */
const videosFor = (system: GuestSystem | undefined) =>
  system?.isWindows ? ["vga", "virtio", "ramfb"] : ["virtio", "vga", "ramfb"];

/** The machines of these have a BIOS. */
const HAS_BIOS = /^(x86_64|i686)$/;

function chooseFirmware({ firmware }: DomainWish, has: Capabilities): Firmware {
  const usual = HAS_BIOS.test(has.arch) || !has.uefi ? "bios" : "uefi";
  const chosen = firmware ?? usual;
  if (chosen === "bios" && firmware && usual === "uefi") {
    const text = `firmware: a machine of ${has.arch} has no BIOS; leave it out, or take uefi`;
    throw new HyperError("unsupported", text);
  }
  if (chosen !== "bios" && !has.uefi) {
    const text = `firmware: the hypervisor has no UEFI for machine ${has.canonicalMachine} (package ovmf, or edk2-ovmf)`;
    throw new HyperError("unsupported", text);
  }
  if (chosen === "uefi-secure" && !has.secureBoot) {
    const text = `firmware: the hypervisor has no UEFI with secure boot for machine ${has.canonicalMachine}`;
    throw new HyperError("unsupported", text);
  }
  return chosen;
}

/** For emulation all that QEMU can: its own default is older than what today's systems need. */
function chooseCpu({ cpu }: DomainWish, has: Capabilities): Cpu | undefined {
  const usual = has.virtType === "kvm" ? ["host-passthrough", "host-model"] : ["maximum"];
  const mode = cpu === "host" ? "host-passthrough" : cpu;
  if (mode === undefined) {
    const found = usual.find((one) => has.cpuModes.includes(one));
    return found ? { mode: found } : undefined;
  }
  if (/^(host-passthrough|host-model|maximum)$/.test(mode)) {
    if (has.cpuModes.includes(mode)) return { mode };
    const why = has.virtType === "qemu" ? "an emulated CPU" : "the hypervisor";
    const text = `cpu: ${why} cannot be ${cpu}; it can be ${has.cpuModes.filter((one) => one !== "custom").join(", ")}`;
    throw new HyperError("unsupported", text);
  }
  const usable = has.cpuModels.get(mode);
  const models = [...has.cpuModels].filter(([, one]) => one !== "no").map(([name]) => name);
  if (usable !== undefined && usable !== "no") return { model: mode };
  const what =
    usable === undefined ? "is no CPU model of libvirt's" : "has features that it lacks here";
  const text = `cpu: ${mode} ${what}; there are host, host-model, maximum, ${models.join(", ")}`;
  throw new HyperError(usable === undefined ? "invalid_input" : "unsupported", text);
}

function chooseGraphics({ graphics }: DomainWish, has: Capabilities) {
  if (graphics === "none" || has.graphics.includes(graphics)) return graphics;
  const able = ["vnc", "spice"].filter((one) => has.graphics.includes(one));
  const text = `graphics: the hypervisor's QEMU has no ${graphics}; there are ${[...able, "none"].join(", ")}`;
  throw new HyperError("unsupported", text);
}

function chooseTpm({ tpmModels, tpmBackends, canonicalMachine }: Capabilities): string {
  const model = ["tpm-crb", "tpm-tis", "tpm-spapr"].find((one) => tpmModels.includes(one));
  if (model && tpmBackends.includes("emulator")) return model;
  const text = model
    ? 'tpm: the hypervisor has no swtpm; install its packages "swtpm" and "swtpm-tools"'
    : `tpm: machine ${canonicalMachine} can have none here`;
  throw new HyperError("unsupported", text);
}
