/** Disks that both sides must see, and images that are made at the target: whose files they are. */
import { describe, expect, test } from "vitest";
import { log } from "../../../../runtime/core/log.ts";
import { checkStorage } from "../../../../runtime/libvirt/migrate/check-storage.ts";
import type { DiskPlan } from "../../../../runtime/libvirt/migrate/disks.ts";
import { makeImages } from "../../../../runtime/libvirt/migrate/live-disks.ts";
import { isSameFile } from "../../../../runtime/libvirt/migrate/same-file.ts";
import type { Sides } from "../../../../runtime/libvirt/migrate/sides.ts";
import type { Resource } from "../../../../runtime/libvirt/resource.ts";
import { withRollback } from "../../../../runtime/libvirt/rollback.ts";
import { answering } from "../../../fixtures/fake.ts";

/** A hypervisor with one volume at `/pool/v`, and what `stat` says of a file. */
function side(host: string, stat: string | undefined) {
  const fake = answering(() => "/pool/v\n");
  const exec = async (argv: string[]) => {
    if (argv[0] === "ls") return { stdout: "", stderr: "", exitCode: 0 };
    return { stdout: `${stat}\n`, stderr: "", exitCode: stat === undefined ? 1 : 0 };
  };
  return { ...fake, exec, host, log };
}

const two = (here: string | undefined, there: string | undefined, active = false) =>
  ({ source: side("a", here), target: side("b", there), active }) as unknown as Sides;

describe("one name, two files", () => {
  test.each<[string | undefined, string | undefined, boolean, boolean | undefined]>([
    ["5 100 17", "5 100 17", false, true],
    ["5 100 17", "6 100 17", false, false],
    ["5 100 17", "5 100 18", false, false], // two hosts that were installed alike
    ["5 100 17", "5 200 17", true, true], // it grows while the guest writes
    ["5 100 0", "5 100 17", false, true],
    ["5 100 0", "5 200 0", false, false],
    ["5 100 ?", "5 200 ?", true, true], // BusyBox
    ["5 100 17", undefined, false, undefined],
  ])("%s and %s, running %s: %s", async (here, there, active, same) => {
    expect(await isSameFile(two(here, there, active), "/f")).toBe(same);
  });

  test("a device is not compared", async () => {
    expect(await isSameFile(two("5 100 17", "5 100 17"), "/dev/sdb")).toBeUndefined();
  });

  const volume = { target: "vda", device: "disk", pool: "default", volume: "v", readonly: false };
  const file = { target: "vda", device: "disk", path: "/pool/v", readonly: false };
  test.each([
    ["6 100 17", "fail"],
    ["5 100 17", "pass"],
    [undefined, "warning"],
  ])("a volume and a file whose other is %s: %s", async (there, status) => {
    for (const disk of [volume, file]) {
      const plan = { copies: [], kept: [{ target: "vda", disk }] } as unknown as DiskPlan;
      const checks = await checkStorage(two("5 100 17", there), plan);
      expect(checks.map((check) => check.status)).toEqual([status]);
    }
  });
});

describe("an image that another call has made", () => {
  test.each([
    "sh: 1: cannot create /vms/a.qcow2: File exists\n", // dash
    "sh: /vms/a.qcow2: cannot overwrite existing file\n", // bash
    "sh: can't create /vms/a.qcow2: File exists\n", // BusyBox
  ])("stays: %s", async (stderr) => {
    const ran: string[][] = [];
    const exec = async (argv: string[]) => {
      ran.push(argv);
      return { stdout: "", stderr: argv[0] === "sh" ? stderr : "", exitCode: 2 };
    };
    const target = { ...answering(() => ""), exec, host: "b", log };
    const sides = { source: side("a", ""), target, uuid: "u", route: { live: true } } as never;
    const copy = { target: "vda", path: "/vms/a.qcow2", image: { format: "qcow2", size: 1 } };
    const noted: Resource[][] = [];
    const making = withRollback(target as never, "migration", async (journal) => {
      noted.push(journal.resources);
      await makeImages(sides, journal, { copies: [copy], kept: [] } as never);
    });
    await expect(making).rejects.toMatchObject({
      ...{ code: "already_exists", message: "/vms/a.qcow2 exists already on b" },
    });
    expect(noted).toEqual([[]]);
    expect(ran.map(([program]) => program)).toEqual(["sh"]);
  });
});
