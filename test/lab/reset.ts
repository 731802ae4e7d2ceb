/**
 * Brings a lab back to the state it began with, between the test files of a lane. What a file has left is removed;
 * what cannot be removed is named, and the lane ends with it.
 */
import { execFile } from "node:child_process";
import {
  type Dirent,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { slow } from "../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "./libvirtd.ts";

const run = promisify(execFile);
const PID_FILE = "/run/libvirtd.pid";
const CONFIG = "/etc/libvirt";
/** In memory, and the lab's alone; the caches and logs of libvirt are left, they make no difference to a test. */
const FOLDERS = [
  "/run",
  CONFIG,
  "/var/lib/libvirt",
  "/var/lib/hypersdk",
  "/var/tmp",
  "/srv",
  "/mnt",
];
/** Made by libvirtd when a first domain or network needs them, or by libguestfs for all labs, and kept. */
const KEPT =
  /^\/run\/libvirt\/(common|hostdevmgr|lockd|qemu|network|storage|virtlogd)\/?$|^\/var\/tmp\/\.guestfs-0/;

/** What a lab begins with. */
export interface Baseline {
  libvirtd: string;
  processes: Set<number>;
  mounts: Set<string>;
  links: Set<string>;
  files: Set<string>;
  /** The contents of libvirt's configuration. */
  config: Map<string, Buffer>;
}

export async function baseline(): Promise<Baseline> {
  const files = listFiles();
  const config = [...files].filter((path) => path.startsWith(`${CONFIG}/`) && isFile(path));
  return {
    libvirtd: readFileSync(PID_FILE, "utf8"),
    processes: new Set(processes()),
    mounts: new Set(mounts()),
    links: new Set(links()),
    files,
    config: new Map(config.map((path) => [path, readFileSync(path)])),
  };
}

/** Resolves to what is left all the same, a line for each. */
export async function reset(start: Baseline): Promise<string[]> {
  for (const pid of extraProcesses(start)) signal(pid, "SIGCONT"); // what is frozen cannot end
  await healLibvirtd(start);
  await removeObjects();
  for (const pid of extraProcesses(start)) signal(pid, "SIGKILL");
  await removeNamespaces();
  for (const mount of extraMounts(start)) await attempt("umount", "--lazy", mount);
  for (const link of extraLinks(start)) await attempt("ip", "link", "delete", link);
  removeFiles(start);
  if (restoreConfig(start) || readFileSync(PID_FILE, "utf8") !== start.libvirtd) {
    await stopLibvirtd("SIGTERM");
    await startLibvirtd();
    start.libvirtd = readFileSync(PID_FILE, "utf8");
  }
  await startDefaultPool();
  return leftOver(start);
}

async function leftOver(start: Baseline): Promise<string[]> {
  const deadline = Date.now() + slow(5000);
  for (;;) {
    const left = [
      ...(await domains()).map((name) => `domain ${name}`),
      ...(await networks()).map((name) => `network ${name}`),
      ...(await extraPools()).map((name) => `pool ${name}`),
      ...namespaces().map((name) => `network namespace ${name}`),
      ...extraMounts(start).map((path) => `mount ${path}`),
      ...extraLinks(start).map((name) => `network interface ${name}`),
      ...extraProcesses(start).map((pid) => `process ${pid}: ${commandLine(pid)}`),
      ...extraFiles(start).map((path) => `file ${path}`),
    ];
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(50); // what was killed takes a moment to end
    removeFiles(start);
  }
}

/** A daemon that a test has killed or frozen is there again, and answers. */
async function healLibvirtd(start: Baseline) {
  const pid = Number.parseInt(start.libvirtd, 10);
  signal(pid, "SIGCONT");
  const healthy = await run("virsh", ["uri"], { timeout: slow(5000) }).then(
    () => true,
    () => false,
  );
  if (healthy) return;
  await stopLibvirtd("SIGKILL").catch(() => {}); // it may be gone
  await startLibvirtd();
}

async function virsh(...args: string[]): Promise<string> {
  return (await run("virsh", ["-q", ...args], { timeout: slow(20_000) })).stdout;
}

const words = (text: string) => text.split("\n").filter((line) => line !== "");
const domains = async () => words(await virsh("list", "--all", "--uuid"));
const networks = async () => words(await virsh("net-list", "--all", "--uuid"));
const extraPools = async () =>
  words(await virsh("pool-list", "--all", "--name"))
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "default");

async function removeObjects() {
  for (const id of await domains()) {
    await attempt("virsh", "destroy", "--domain", id);
    const flags = ["--nvram", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata"];
    await attempt("virsh", "undefine", "--domain", id, ...flags);
  }
  for (const id of await networks()) {
    await attempt("virsh", "net-destroy", "--network", id);
    await attempt("virsh", "net-undefine", "--network", id);
  }
  for (const name of await extraPools()) {
    await attempt("virsh", "pool-destroy", "--pool", name);
    await attempt("virsh", "pool-undefine", "--pool", name);
  }
}

async function startDefaultPool() {
  const folder = "/var/lib/libvirt/images";
  mkdirSync(folder, { recursive: true });
  if (
    !words(await virsh("pool-list", "--all", "--name")).some((name) => /^ *default *$/.test(name))
  )
    await virsh("pool-define-as", "default", "dir", "--target", folder);
  await attempt("virsh", "pool-start", "default");
  await attempt("virsh", "pool-autostart", "--disable", "default");
  await virsh("pool-refresh", "default");
}

/** `leftOver` looks at what has become of it. */
async function attempt(program: string, ...args: string[]) {
  await run(program, args, { timeout: slow(20_000) }).catch(() => {});
}

function namespaces(): string[] {
  return existsSync("/run/netns") ? readdirSync("/run/netns") : [];
}

async function removeNamespaces() {
  for (const name of namespaces()) await attempt("ip", "netns", "delete", name);
}

function processes(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && stateOf(pid) !== "Z");
}

/** Undefined for one that has ended. */
function stateOf(pid: number): string | undefined {
  return read(`/proc/${pid}/stat`)?.split(") ").at(-1)?.[0] ?? "Z";
}

/** Without libvirt's own daemons, and what this process has just started. */
function extraProcesses(start: Baseline): number[] {
  return processes().filter((pid) => {
    if (start.processes.has(pid) || pid === process.pid) return false;
    const name = read(`/proc/${pid}/comm`)?.trim() ?? "";
    const parent = Number(read(`/proc/${pid}/stat`)?.split(") ").at(-1)?.split(" ")[1]);
    return !["libvirtd", "virtlogd"].includes(name) && parent !== process.pid;
  });
}

function commandLine(pid: number): string {
  return (read(`/proc/${pid}/cmdline`) ?? "").replaceAll("\0", " ").trim();
}

function signal(pid: number, name: NodeJS.Signals) {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended
  }
}

/** The last comes first, since it may lie within another. */
function mounts(): string[] {
  const lines = words(read("/proc/self/mounts") ?? "");
  return lines.map((line) => line.split(" ")[1]?.replaceAll("\\040", " ") ?? "").reverse();
}

const extraMounts = (start: Baseline) => mounts().filter((path) => !start.mounts.has(path));
const links = () => readdirSync("/sys/class/net");
const extraLinks = (start: Baseline) => links().filter((name) => !start.links.has(name));

function listFiles(): Set<string> {
  const files = new Set<string>();
  const visit = (folder: string) => {
    for (const entry of entriesOf(folder)) {
      const path = join(folder, entry.name);
      files.add(path);
      if (entry.isDirectory()) visit(path);
    }
  };
  for (const folder of FOLDERS) visit(folder);
  return files;
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // it has been removed meanwhile, as libvirtd and QEMU remove their own
  }
}

function isFile(path: string): boolean {
  return read(path) !== undefined;
}

function extraFiles(start: Baseline): string[] {
  return [...listFiles()].filter((path) => !start.files.has(path) && !KEPT.test(path));
}

function removeFiles(start: Baseline) {
  for (const path of extraFiles(start)) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // `leftOver` names it
    }
  }
}

/** Whether anything of libvirt's configuration was changed, which it reads when it starts. */
function restoreConfig({ config }: Baseline): boolean {
  let changed = false;
  for (const [path, content] of config) {
    if (path.includes("/storage/") || read(path) === content.toString()) continue;
    writeFileSync(path, content);
    changed = true;
  }
  return changed;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
