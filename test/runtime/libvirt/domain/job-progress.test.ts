/** What libvirt and QEMU tell of a domain's block jobs; the texts are those of libvirt 9.0. */
import { expect, test } from "vitest";
import { blockJobUpdate } from "../../../../runtime/libvirt/domain/job-progress.ts";

test("block jobs of several disks are one work", () => {
  const commit = " type=Block Commit\n bandwidth=0\n cur=300\n end=400\n";
  const idle = "No current block job for vdb\n";
  expect(blockJobUpdate("merging", [commit, idle, commit.replace("300", "100")])).toEqual({
    ...{ phase: "merging", percent: 50, bytes: 400, total: 800 },
  });
  expect(blockJobUpdate("merging", [idle, " type=Copy\n bandwidth=0\n cur=0\n end=0\n"])).toBe(
    undefined,
  );
  expect(blockJobUpdate("merging", [])).toBeUndefined();
});
