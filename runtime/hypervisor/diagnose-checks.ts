/**
 * The code of a failed command, from the state of its object. libvirtd writes its errors in the language of its
 * machine, and virsh prints neither libvirt's error number nor its domain.
 */
import type { ErrorCode } from "../core/errors.ts";

export interface Probe {
  /** The value of an option, or undefined. */
  option(name: string): string | undefined;
  /** The definition that the command stores. */
  text: string;
  /** What a read prints; empty if it fails too. */
  ask(...command: string[]): Promise<string>;
  /** The lines of a file of the hypervisor. */
  file(path: string): Promise<string[]>;
}

type Check = (probe: Probe) => Promise<ErrorCode | false | undefined>;

const linesOf = (text: string) => text.split("\n").filter((line) => line !== "");
const domain = ({ option }: Probe) => `${option("--domain")}`;
const stateOf = async (probe: Probe) =>
  (await probe.ask("domstate", "--domain", domain(probe))).trim();

const isOff: Check = async (probe) =>
  /^(shut off|crashed)$/.test(await stateOf(probe)) && "not_active";

const isOn: Check = async (probe) =>
  /^(running|paused|idle|pmsuspended)$/.test(await stateOf(probe)) && "already_active";

const runs: Check = async (probe) => (await stateOf(probe)) === "running" && "already_active";

/** Another call has held the domain for longer than any call takes. */
const isOccupied: Check = async (probe) => {
  const control = await probe.ask("domcontrol", "--domain", domain(probe));
  return /^occupied \((\d{2,})\./.test(control) && "timed_out";
};

/** A domain cannot use a network that is not active. */
const lacksNetwork: Check = async (probe) => {
  const definition =
    probe.text || (await probe.ask("dumpxml", "--domain", domain(probe), "--inactive"));
  for (const [, name = ""] of definition.matchAll(/<source [^>]*?\bnetwork=['"]([^'"]*)/g))
    if (await isInactive(probe, unescapeXml(name))) return "not_active";
  return undefined;
};

const snapshots = async (probe: Probe) =>
  linesOf(await probe.ask("snapshot-list", "--domain", domain(probe), "--name"));

const lacksSnapshot: Check = async (probe) =>
  !(await snapshots(probe)).includes(`${probe.option("--snapshotname")}`) && "not_found";

const hasSnapshot: Check = async (probe) =>
  (await snapshots(probe)).includes(`${probe.option("--name")}`) && "already_exists";

const netInfo = ({ ask }: Probe, name: string) => ask("net-info", "--network", name);
const isInactive = async (probe: Probe, name: string) =>
  /^Active: +no$/m.test(await netInfo(probe, name));
const network = ({ option }: Probe) => `${option("--network")}`;

const networkIsOn: Check = async (probe) =>
  /^Active: +yes$/m.test(await netInfo(probe, network(probe))) && "already_active";

const networkIsOff: Check = async (probe) =>
  (await isInactive(probe, network(probe))) && "not_active";

/** libvirt starts no network with a subnet that the hypervisor has a route to. */
const subnetIsTaken: Check = async (probe) => {
  const definition = await probe.ask("net-dumpxml", "--network", network(probe));
  const routes = await probe.file("/proc/net/route");
  const taken = new Set(
    routes.slice(1).map((route) => {
      const [, destination, , , , , , mask] = route.split("\t");
      return `${destination}/${mask}`;
    }),
  );
  const addresses = [...definition.matchAll(/<ip address='([\d.]+)' (netmask|prefix)='([\d.]+)'/g)];
  return addresses.some(([, address = "", kind, size = ""]) => {
    const mask = kind === "netmask" ? toBytes(size) : maskOf(Number(size));
    const subnet = toBytes(address).map((byte, i) => byte & (mask[i] ?? 0));
    return taken.has(`${toHex(subnet)}/${toHex(mask)}`);
  })
    ? "in_use"
    : undefined;
};

const toBytes = (address: string) => address.split(".").map(Number);
const maskOf = (prefix: number) =>
  [0, 8, 16, 24].map((at) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - at))));
/** The kernel prints an address as a little-endian number. */
const toHex = (bytes: number[]) =>
  bytes
    .toReversed()
    .map((byte) => byte.toString(16).toUpperCase().padStart(2, "0"))
    .join("");

const nameIn = (definition: string) => unescapeXml(definition.match(/<name>([^<]*)</)?.[1] ?? "");

const networkExists: Check = async (probe) => {
  const names = linesOf(await probe.ask("net-list", "--all", "--name"));
  if (names.includes(nameIn(probe.text))) return "already_exists";
  const bridge = bridgeIn(probe.text);
  if (!bridge) return undefined;
  const definitions = await Promise.all(
    names.map((name) => probe.ask("net-dumpxml", "--network", name)),
  );
  return definitions.some((definition) => bridgeIn(definition) === bridge) && "already_exists";
};

const bridgeIn = (definition: string) => definition.match(/<bridge name=['"]([^'"]+)/)?.[1];

/** libvirt replaces the definition of a domain with the same name and UUID. */
const domainExists: Check = async (probe) => {
  const uuid = await probe.ask("domuuid", "--domain", nameIn(probe.text));
  return uuid.trim() !== "" && !probe.text.includes(uuid.trim()) && "already_exists";
};

const pool = ({ option }: Probe) => `${option("--pool")}`;
const poolState = async (probe: Probe) =>
  (await probe.ask("pool-info", "--pool", pool(probe))).match(/^State: +(\w+)$/m)?.[1];

const poolIsOn: Check = async (probe) => (await poolState(probe)) === "running" && "already_active";
const poolIsOff: Check = async (probe) => (await poolState(probe)) === "inactive" && "not_active";

const poolExists: Check = async (probe) => {
  const names = linesOf(await probe.ask("pool-list", "--all", "--name"));
  return names.includes(probe.option("--name") ?? nameIn(probe.text)) && "already_exists";
};

const volumeExists: Check = async (probe) => {
  const name = probe.option("--newname") ?? probe.option("--name") ?? nameIn(probe.text);
  return (
    (await probe.ask("vol-path", "--pool", pool(probe), "--vol", name)) !== "" && "already_exists"
  );
};

/** The checks of each verb; the first that applies decides. */
const CHECKS: [RegExp, Check[]][] = [
  [/^start$/, [isOn, lacksNetwork]],
  [/^resume$/, [isOff, runs]],
  [/^(suspend|shutdown|reboot|reset|destroy|blockresize|managedsave|save)$/, [isOff]],
  [/^attach-(device|interface)$/, [lacksNetwork]],
  [/^snapshot-(revert|delete|dumpxml|info|parent)$/, [lacksSnapshot]],
  [/^snapshot-create-as$/, [hasSnapshot]],
  [/^define$/, [domainExists]],
  [/^net-start$/, [networkIsOn, subnetIsTaken]],
  [/^net-(destroy|dhcp-leases)$/, [networkIsOff]],
  [/^net-(define|create)$/, [networkExists]],
  [/^pool-start$/, [poolIsOn]],
  [/^pool-(destroy|refresh)$/, [poolIsOff]],
  [/^pool-(define|create)(-as)?$/, [poolExists]],
  [/^vol-(create|create-as|create-from|clone)$/, [poolIsOff, volumeExists]],
  [/^vol-/, [poolIsOff]],
];

function unescapeXml(text: string): string {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(\w+);/g, (entity, name) => entities[name] ?? entity);
}

export function checksOf(verb: string, ofDomain: boolean): Check[] {
  if (verb === "snapshot-current") return []; // it fails for every domain that has none
  const checks = CHECKS.find(([verbs]) => verbs.test(verb))?.[1] ?? [];
  return ofDomain ? [...checks, isOccupied] : checks;
}
