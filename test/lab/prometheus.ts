// Prometheus, promtool, Alertmanager's amtool and Debian's libvirt exporter, for tests. They are taken out of their
// packages: installing those would start daemons on this machine, and again at every boot.
// `bun test/lab/prometheus.ts` fetches them (about 35 MB); that takes the network, so it must run outside the lab.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "hypersdk");
const HOME = join(CACHE, "prometheus-tools");
const PACKAGES = ["prometheus", "prometheus-alertmanager", "prometheus-libvirt-exporter"];
const PROGRAMS = ["promtool", "prometheus", "amtool", "prometheus-libvirt-exporter"] as const;

/** The paths of the programs, which are fetched on first use. */
export function prometheusTools() {
  const [promtool = "", prometheus = "", amtool = "", exporter = ""] = PROGRAMS.map((name) =>
    join(HOME, name),
  );
  const tools = { promtool, prometheus, amtool, exporter };
  if (existsSync(HOME)) return tools;
  if (process.env.HYPERSDK_LAB === "1") {
    throw new Error("promtool is not there. Outside the lab, run: bun test/lab/prometheus.ts");
  }
  if (!existsSync("/usr/bin/apt-get")) {
    throw new Error("promtool comes out of Debian's packages: fetching them takes apt-get.");
  }
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "prometheus-"));
  try {
    fetchInto(work);
    // another process may have been first; its programs are as good
    if (!existsSync(HOME)) renameSync(join(work, "programs"), HOME);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return tools;
}

function fetchInto(work: string) {
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: work, stdio: ["ignore", "pipe", "pipe"], timeout: 300_000 });
  run("apt-get", "update");
  run("apt-get", "download", "-o", "APT::Sandbox::User=root", ...PACKAGES);
  for (const file of readdirSync(work)) run("dpkg", "-x", file, "packages");
  mkdirSync(join(work, "programs"));
  for (const name of PROGRAMS) {
    renameSync(join(work, "packages/usr/bin", name), join(work, "programs", name));
  }
}

if (import.meta.main) console.log(prometheusTools());
