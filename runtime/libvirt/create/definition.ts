/** The definition of a new domain, from what was decided about it. virt-install's is the yardstick. */
import { type Xml, xml } from "../xml.ts";
import type { GuestSystem } from "./osinfo.ts";

export type Firmware = "bios" | "uefi" | "uefi-secure";
export type Cpu = { mode: string } | { model: string };

export interface Hardware {
  arch: string;
  virtType: "kvm" | "qemu";
  machine: string;
  isQ35: boolean;
  firmware: Firmware;
  /** Undefined: QEMU's own default. */
  cpu: Cpu | undefined;
  graphics: "vnc" | "spice" | "none";
  video: string | undefined;
  /** The model. */
  tpm: string | undefined;
  system: GuestSystem | undefined;
}

export interface DefinedDisk {
  device: "disk" | "cdrom";
  /** Such as `vda`. */
  target: string;
  bus: string;
  format: string;
  path: string;
}

export interface DefinedInterface {
  network?: string | undefined;
  bridge?: string | undefined;
  mac: string;
  model: string;
}

export type BootDevice = "disk" | "cdrom" | "network";

export interface Machine extends Hardware {
  name: string;
  uuid: string;
  /** MiB. */
  memory: number;
  vcpus: number;
  disks: DefinedDisk[];
  interfaces: DefinedInterface[];
  boot: BootDevice[];
}

const isX86 = ({ arch }: Machine) => /^(x86_64|i686)$/.test(arch);
const hasHyperv = ({ system, virtType }: Machine) => system?.isWindows && virtType === "kvm";

export function domainDefinition(machine: Machine): Xml {
  const { name, uuid, memory, vcpus, virtType, system, disks, interfaces } = machine;
  return xml`<domain type="${virtType}">
  <name>${name}</name>
  <uuid>${uuid}</uuid>
  ${system && xml`<metadata><libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0"><libosinfo:os id="${system.id}"/></libosinfo:libosinfo></metadata>`}
  <memory unit="MiB">${memory}</memory>
  <vcpu>${vcpus}</vcpu>
  ${osElement(machine)}
  ${featuresElement(machine)}
  ${cpuElement(machine)}
  ${clockElement(machine)}
  ${isX86(machine) && xml`<pm><suspend-to-mem enabled="no"/><suspend-to-disk enabled="no"/></pm>`}
  <devices>
    ${disks.map(diskElement)}
    ${controllers(machine)}
    ${interfaces.map(interfaceElement)}
    <console type="pty"/>
    <channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>
    ${screen(machine)}
    ${machine.tpm && xml`<tpm model="${machine.tpm}"><backend type="emulator" version="2.0"/></tpm>`}
    <memballoon model="virtio"><stats period="10"/></memballoon>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
  </devices>
</domain>`;
}

const BOOT = { disk: "hd", cdrom: "cdrom", network: "network" };

/** libvirt finds the files of the firmware; what is not said of secure boot it chooses as well. */
function osElement({ arch, machine, firmware, boot }: Machine): Xml {
  const [efi, isSecure] = [firmware !== "bios", firmware === "uefi-secure"];
  const enabled = isSecure ? "yes" : "no";
  const features = ["enrolled-keys", "secure-boot"].map(
    (name) => xml`<feature enabled="${enabled}" name="${name}"/>`,
  );
  return xml`<os${efi && xml` firmware="efi"`}>
    <type arch="${arch}" machine="${machine}">hvm</type>
    ${efi && xml`<firmware>${features}</firmware>`}
    ${isSecure && xml`<loader secure="yes"/>`}
    ${boot.map((one) => xml`<boot dev="${BOOT[one]}"/>`)}
  </os>`;
}

function featuresElement(machine: Machine): Xml {
  const hyperv = xml`<hyperv><relaxed state="on"/><vapic state="on"/><spinlocks state="on" retries="8191"/></hyperv>`;
  return xml`<features>
    <acpi/>${isX86(machine) && xml`<apic/>`}
    ${hasHyperv(machine) && hyperv}
    ${isX86(machine) && xml`<vmport state="off"/>`}
    ${machine.firmware === "uefi-secure" && isX86(machine) && xml`<smm state="on"/>`}
  </features>`;
}

function cpuElement({ cpu }: Machine): Xml | undefined {
  if (!cpu) return undefined;
  if ("model" in cpu)
    return xml`<cpu mode="custom" match="exact"><model fallback="forbid">${cpu.model}</model></cpu>`;
  return cpu.mode === "host-passthrough"
    ? xml`<cpu mode="host-passthrough" check="none" migratable="on"/>`
    : xml`<cpu mode="${cpu.mode}"/>`;
}

/** Lost ticks of the guest's clock are made up for; Windows alone takes the hardware's for local time. */
function clockElement(machine: Machine): Xml {
  const offset = machine.system?.isWindows ? "localtime" : "utc";
  if (!isX86(machine)) return xml`<clock offset="${offset}"/>`;
  return xml`<clock offset="${offset}">
    <timer name="rtc" tickpolicy="catchup"/>
    <timer name="pit" tickpolicy="delay"/>
    <timer name="hpet" present="no"/>
    ${hasHyperv(machine) && xml`<timer name="hypervclock" present="yes"/>`}
  </clock>`;
}

/** Freed blocks of the guest are given back to the pool. */
function diskElement({ device, target, bus, format, path }: DefinedDisk): Xml {
  const isBlock = path.startsWith("/dev/");
  const discard = device === "disk" && xml` discard="unmap"`;
  return xml`<disk type="${isBlock ? "block" : "file"}" device="${device}">
      <driver name="qemu" type="${format}"${discard}/>
      ${isBlock ? xml`<source dev="${path}"/>` : xml`<source file="${path}"/>`}
      <target dev="${target}" bus="${bus}"/>
      ${device === "cdrom" && xml`<readonly/>`}
    </disk>`;
}

/** Ports of PCI Express into which disks and interfaces can be plugged while it runs; as many as virt-install's. */
const SPARE_PORTS = 14;

function controllers({ disks, isQ35, arch }: Machine): Xml {
  const isPcie = isQ35 || arch === "aarch64" || arch === "riscv64";
  const port = xml`<controller type="pci" model="pcie-root-port"/>`;
  return xml`${arch !== "s390x" && xml`<controller type="usb" model="qemu-xhci" ports="15"/>`}
    ${disks.some(({ bus }) => bus === "scsi") && xml`<controller type="scsi" model="virtio-scsi"/>`}
    ${isPcie && xml`<controller type="pci" model="pcie-root"/>${Array<Xml>(SPARE_PORTS).fill(port)}`}`;
}

function interfaceElement({ network, bridge, mac, model }: DefinedInterface): Xml {
  const [type, source] = bridge ? ["bridge", bridge] : ["network", network];
  return xml`<interface type="${type}">
      <mac address="${mac}"/>
      <source ${type === "bridge" ? xml`bridge` : xml`network`}="${source}"/>
      <model type="${model}"/>
    </interface>`;
}

const LOOPBACK = "127.0.0.1";

/** A tablet, since a mouse's pointer would not be where the viewer's is. */
function screen(machine: Machine): Xml | undefined {
  const { graphics, video } = machine;
  if (graphics === "none") return undefined;
  const keyboard = !isX86(machine) && xml`<input type="keyboard" bus="usb"/>`;
  const agent = xml`<channel type="spicevmc"><target type="virtio" name="com.redhat.spice.0"/></channel>`;
  return xml`${graphics === "spice" && agent}
    ${machine.arch !== "s390x" && xml`<input type="tablet" bus="usb"/>${keyboard}`}
    <graphics type="${graphics}" autoport="yes"><listen type="address" address="${LOOPBACK}"/></graphics>
    ${video && xml`<video><model type="${video}"/></video>`}`;
}
