/** Checks of what the target is: versions, machine, CPU, firmware, TPM and memory. */
import { HyperError } from "../../core/errors.ts";
import { readDomainCapabilities } from "../create/capabilities.ts";
import { versionNames } from "../host.ts";
import { keyValues } from "../virsh-output.ts";
import { attribute, children, type Element, parseXml, textOf } from "../xml.ts";
import { type Check, fail, pass, warning } from "./check.ts";
import { machineOf } from "./check-domain.ts";
import type { Sides } from "./sides.ts";

const numbers = (version: string | null) => (version?.match(/\d+/g) ?? []).slice(0, 3).map(Number);

/** Less than 0 where `a` is older. */
function compare(a: string | null, b: string | null): number {
  const [one, other] = [numbers(a), numbers(b)];
  for (let i = 0; i < 2; i++) if (one[i] !== other[i]) return (one[i] ?? 0) - (other[i] ?? 0);
  return 0;
}

export async function checkVersions(sides: Sides): Promise<Check[]> {
  const { source, target, route } = sides;
  const [from, to] = await Promise.all([versionNames(source), versionNames(target)]);
  const isOlder = compare(to.libvirt, from.libvirt) < 0;
  const refusal = isOlder ? await refusalOf(sides) : undefined;
  return (["libvirt", "hypervisor"] as const).map((key) => {
    const item = key === "hypervisor" ? "qemu" : key;
    const [here, there] = [from[key], to[key]];
    if (!here || !there) return fail(item, "its version is unknown on one of the two");
    if (compare(there, here) >= 0) return pass(item, `${here} here, ${there} there`);
    const text = `${there} there is older than ${here} here`;
    if (route.live && item === "qemu")
      return fail(item, `${text}; QEMU takes a running guest to the same version or a newer one`);
    if (refusal && item === "libvirt")
      return fail(item, `${text}, and does not take the definition: ${refusal}`);
    return warning(item, `${text}, and may not know all that the definition has`);
  });
}

/** What an older libvirt says against the definition, which it parses here and does not store. */
async function refusalOf({ target, text }: Sides): Promise<string | undefined> {
  const parse = ["domxml-to-native", "--format", "qemu-argv", "--xml", { text }];
  const [told] = await target.virsh.settled([parse]);
  const isRefused =
    told instanceof HyperError &&
    /^(unsupported|invalid_input)$/.test(told.code) &&
    !/by the connection driver/.test(told.message); // one that cannot parse it so has no word against it
  return isRefused ? told.message : undefined;
}

/** The machine, and what `domcapabilities` tells of it. */
export async function checkMachine(sides: Sides): Promise<Check[]> {
  const { target, domain } = sides;
  const { arch, machine, virtType, emulator } = machineOf(sides);
  const which = ["--arch", arch, "--virttype", virtType, "--machine", machine];
  const [told] = await target.virsh.settled([["domcapabilities", ...which]]);
  if (told instanceof HyperError) {
    const why = `${target.host} runs no ${virtType} guest with the machine ${machine} of ${arch}: ${told.message}`;
    return [fail("machine", why)];
  }
  const element = parseXml(told ?? "", "domainCapabilities");
  const { cpuModels, cpuModes, maxVcpus } = readDomainCapabilities(element);
  const checks: Check[] = [pass("machine", `${target.host} has ${machine}`)];
  const path = textOf(element, "path");
  if (emulator && path !== emulator)
    checks.push(
      fail("emulator", `the definition names ${emulator}, and ${target.host} has ${path}`),
    );
  const vcpus = Number(textOf(domain, "vcpu") ?? 1);
  if (vcpus > maxVcpus)
    checks.push(fail("vcpus", `it has ${vcpus}; ${target.host} gives at most ${maxVcpus}`));
  checks.push(...(await checkCpu(sides, { cpuModels, cpuModes, which })));
  const tpm = children(domain, "devices", "tpm");
  if (tpm.length > 0) checks.push(...checkTpm(sides, element));
  return checks;
}

interface CpuFacts {
  cpuModels: Map<string, string>;
  cpuModes: string[];
  which: string[];
}

async function checkCpu(
  { source, target, uuid, domain, active, route }: Sides,
  { cpuModels, cpuModes, which }: CpuFacts,
): Promise<Check[]> {
  const mode = attribute(domain, "mode", "cpu") ?? "custom";
  if (mode === "host-passthrough" || mode === "maximum") {
    if (!cpuModes.includes(mode)) return [fail("cpu", `${target.host} has no ${mode}`)];
    const text = `${mode}: the guest sees whatever CPU ${target.host} has`;
    return [warning("cpu", route.live ? `${text}, and may stop if that has less` : text)];
  }
  const live = active ? await source.virsh(["dumpxml", "--domain", uuid, "--migratable"]) : "";
  const cpu = /<cpu\b[\s\S]*?(?:<\/cpu>|\/>)/.exec(live)?.[0];
  if (cpu?.includes("<model")) {
    const compareCpu = ["hypervisor-cpu-compare", ...which, "--file", { text: cpu }];
    const [told] = await target.virsh.settled([compareCpu]);
    if (typeof told === "string" && !/incompatible/i.test(told))
      return [pass("cpu", `${target.host} has all that the guest's CPU has`)];
    const why = typeof told === "string" ? told.trim() : told?.message;
    if (!(told instanceof HyperError && told.code === "unsupported"))
      return [fail("cpu", `the guest's CPU is not possible on ${target.host}: ${why}`)];
  }
  const model = textOf(domain, "cpu", "model");
  if (!model)
    return [pass("cpu", mode === "host-model" ? "host-model" : "the machine's own model")];
  const usable = cpuModels.get(model);
  if (usable === "yes") return [pass("cpu", `${target.host} has ${model}`)];
  const text = usable === undefined ? `knows no ${model}` : `lacks something of ${model}`;
  return [usable === "unknown" ? warning("cpu", text) : fail("cpu", `${target.host} ${text}`)];
}

/** The emulator's state is its own; a device of the host stays behind. */
function checkTpm({ target, domain }: Sides, capabilities: Element): Check[] {
  const [backend] = children(domain, "devices", "tpm", "backend");
  const type = `${backend?.["@type"]}`;
  if (type !== "emulator")
    return [fail("tpm", `it has a TPM of type ${type}, which is its host's own`)];
  const known = readDomainCapabilities(capabilities).tpmBackends;
  if (known.includes("emulator")) return [pass("tpm", `${target.host} emulates one, too`)];
  return [fail("tpm", `${target.host} has no emulated TPM; install swtpm there`)];
}

export async function checkMemory({ target, domain, active }: Sides): Promise<Check[]> {
  const [stats] = await target.virsh.settled([["nodememstats"]]);
  if (typeof stats !== "string") return [warning("memory", "how much is free there is unknown")];
  const values = keyValues(stats);
  const kib = (key: string) => Number.parseInt(values[key] ?? "", 10);
  const free = kib("free") + (kib("buffers") || 0) + (kib("cached") || 0);
  const needed = Number(textOf(domain, "memory") ?? 0);
  if (Number.isNaN(free)) return [warning("memory", "how much is free there is unknown")];
  const text = `it has ${needed} KiB; ${target.host} has about ${free} KiB free`;
  if (needed <= free) return [pass("memory", text)];
  return [active ? fail("memory", text) : warning("memory", text)];
}
