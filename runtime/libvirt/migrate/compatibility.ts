/** All that is looked at before a domain goes to another hypervisor. */
import { type Check, checked, fail, pass } from "./check.ts";
import {
  checkNames,
  checkPassthrough,
  checkSecrets,
  checkSnapshots,
  checkState,
} from "./check-domain.ts";
import { checkMachine, checkMemory, checkVersions } from "./check-host.ts";
import { checkNetworks } from "./check-networks.ts";
import { checkStorage } from "./check-storage.ts";
import { checkTls } from "./check-tls.ts";
import { checkState as checkFirmwareState } from "./copy-state.ts";
import { type DiskPlan, planDisks } from "./disks.ts";
import { isMoved } from "./retarget.ts";
import { checkRoute } from "./route.ts";
import type { Sides } from "./sides.ts";

export interface Findings {
  checks: Check[];
  /** Where the disks go; undefined where that could not be found out, which a check tells. */
  plan: DiskPlan | undefined;
}

export async function readFindings(sides: Sides): Promise<Findings> {
  let plan: DiskPlan | undefined;
  const looks: [string, () => Promise<Check[]>][] = [
    ["state", () => checkState(sides)],
    ["name", () => checkNames(sides)],
    ["libvirt", () => checkVersions(sides)],
    ["machine", () => checkMachine(sides)],
    ["memory", () => checkMemory(sides)],
    ["network", () => checkNetworks(sides)],
    ["passthrough", () => checkPassthrough(sides)],
    ["secrets", () => checkSecrets(sides)],
    ["snapshots", () => checkSnapshots(sides)],
    ["nvram", () => checkFirmwareState(sides)],
    ["route", () => checkRoute(sides)],
    ["tls", () => checkTls(sides)],
    [
      "storage",
      async () => {
        plan = await planDisks(sides);
        return [...(await checkStorage(sides, plan)), ...(await checkPaths(sides, plan))];
      },
    ],
  ];
  const checks = await Promise.all(looks.map(([item, look]) => checked(item, look)));
  return { checks: checks.flat(), plan };
}

/** The definitions in snapshots name the disks where they were. */
async function checkPaths({ source, uuid }: Sides, { copies }: DiskPlan): Promise<Check[]> {
  const moved = copies.filter(isMoved).map(({ target }) => target);
  if (moved.length === 0) return [];
  const count = await source.virsh(["snapshot-list", "--domain", uuid, "--name"]);
  const text = `${moved.join(", ")} get other paths there`;
  if (count.trim() === "") return [pass("paths", text)];
  return [fail("paths", `${text}, which the snapshots would not know`)];
}
