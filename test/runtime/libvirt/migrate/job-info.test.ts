/** How far a migration is, and how it went, from the raw statistics of libvirt. */
import { expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { migrationUpdate, readStats } from "../../../../runtime/libvirt/migrate/job-info.ts";
import { answering } from "../../../fixtures/fake.ts";

const MIB = 2 ** 20;
const raw = (values: Record<string, number>) =>
  Object.entries(values)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join("");

test("percent, what remains, and the downtime that is expected", async () => {
  const info = { data_processed: 30 * MIB, data_remaining: 10 * MIB, downtime: 300 };
  const fake = answering(() => raw(info));
  expect(await migrationUpdate(fake, "u")).toEqual({
    phase: "migrating: 10 MiB remain, 300 ms of downtime expected",
    percent: 75,
    bytes: 30 * MIB,
    total: 40 * MIB,
  });
  expect(fake.calls).toEqual([["domjobinfo", "--domain", "u", "--rawstats"]]);
});

test("nothing is told before there is anything to tell, or where libvirt says no", async () => {
  expect(
    await migrationUpdate(
      answering(() => "Job type: None\n"),
      "u",
    ),
  ).toBeUndefined();
  const none = raw({ data_processed: 0, data_remaining: 0 });
  expect(
    await migrationUpdate(
      answering(() => none),
      "u",
    ),
  ).toBeUndefined();
  const no = new HyperError("timed_out", "no");
  expect(
    await migrationUpdate(
      answering(() => no),
      "u",
    ),
  ).toBeUndefined();
});

test("the end's figures; what libvirt does not tell is null and not 0", async () => {
  const gone = answering(() => new HyperError("not_found", "gone"));
  const fake = answering(() => raw({ time_elapsed: 1500, downtime: 20, memory_processed: 7 }));
  expect(await readStats(gone, fake, "u")).toEqual({
    ...{ total_ms: 1500, downtime_ms: 20, memory_bytes: 7, disk_bytes: null },
  });
  expect(fake.calls[0]).toContain("--keep-completed");
});

test("the disks' bytes are what the source has counted, and after post-copy all is", async () => {
  const source = answering(() => raw({ time_elapsed: 1600, disk_processed: 9 }));
  const target = answering(() => raw({ time_elapsed: 1500, disk_processed: 0 }));
  const none = answering(() => "Job type: None\n");
  expect(await readStats(source, target, "u")).toMatchObject({ total_ms: 1500, disk_bytes: 9 });
  expect(await readStats(source, none, "u")).toMatchObject({ total_ms: 1600, disk_bytes: 9 });
});
