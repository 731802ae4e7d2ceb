/** Domains that a query selects: of which hypervisors, for whom, and what is said where some are not known. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { resolveSelection } from "../../../runtime/http/selection.ts";
import { away, type Fleet, fleet, limited } from "../../fixtures/fleet.ts";

const silent = new HyperError("timed_out", "QEMU of domain mute does not answer");
const FLEET: Fleet = {
  local: { web: { tags: ["prod"] }, db: { tags: ["prod"], state: "shut off" }, mute: { silent } },
  kvm1: { web: { tags: ["prod"], memory: 8192 }, ci: {} },
  kvm2: away("kvm2"),
};

test("is of the call's hypervisor, as a name alone is", async () => {
  const { ctx, calls } = fleet(FLEET);
  expect(await resolveSelection(ctx, "tag:prod")).toEqual({
    ...{ query: "tag:prod", hosts: ["local"], unreachable: [] },
    ...{ domains: ["local/web", "local/db"], unknown: ["local/mute"] },
  });
  expect(new Set(calls.map(([host]) => host))).toEqual(new Set(["local"]));
});

test("is of all with host: in it, but for those of which none can match", async () => {
  const { ctx, calls } = fleet(FLEET);
  expect(await resolveSelection(ctx, "host:* tag:prod memory:>4GiB")).toMatchObject({
    ...{ hosts: ["local", "kvm1", "kvm2"], domains: ["kvm1/web"], unknown: ["local/mute"] },
    unreachable: [
      { host: "kvm2", code: "unreachable", error: expect.stringContaining("no route") },
    ],
  });
  calls.length = 0;
  expect(await resolveSelection(ctx, "host:kvm1 AND tag:prod")).toMatchObject({ hosts: ["kvm1"] });
  expect(new Set(calls.map(([host]) => host))).toEqual(new Set(["kvm1"]));
});

test("what is not known is not selected, nor by NOT", async () => {
  const { ctx } = fleet(FLEET);
  expect(await resolveSelection(ctx, "NOT tag:prod OR db")).toMatchObject({
    ...{ domains: ["local/db"], unknown: ["local/mute"] },
  });
});

describe("a caller who is limited", () => {
  test("to domains selects among those, and hears of no other", async () => {
    const { ctx } = fleet(FLEET, { caller: limited({ domains: ["db"] }) });
    const selected = await resolveSelection(ctx, "host:* NOT tag:other");
    expect(selected).toMatchObject({ domains: ["local/db"], unknown: [] });
    await expect(resolveSelection(ctx, "web")).rejects.toMatchObject({ code: "not_found" });
  });

  test("to hypervisors selects among theirs", async () => {
    const { ctx } = fleet(FLEET, { caller: limited({ hosts: ["kvm1"] }), host: "kvm1" });
    expect(await resolveSelection(ctx, "host:* web")).toMatchObject({
      ...{ hosts: ["kvm1"], domains: ["kvm1/web"] },
    });
  });
});

describe("nothing that matches is an error", () => {
  test.each([
    ["tag:none state:paused", "not_found", "select: no domain on local matches"],
    ["tag:none", "not_found", "no domain on local matches; of 1 it is not known"],
    ["host:none", "not_found", "no domain on any hypervisor matches"],
    ["host:kvm* tag:none", "not_found", "no domain on kvm1, kvm2 matches; kvm2 cannot be reached"],
    ["host:kvm2", "unreachable", "hypervisor kvm2: no route"],
  ])("%s", async (query, code, text) => {
    const { ctx } = fleet(FLEET);
    await expect(resolveSelection(ctx, query)).rejects.toMatchObject({
      ...{ code, message: expect.stringContaining(text) },
      details: { selected: { query, domains: [] } },
    });
  });

  test("and so are too many", async () => {
    const vms = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`vm${i}`, {}]));
    const { ctx } = fleet({ local: vms });
    await expect(resolveSelection(ctx, "vm")).rejects.toMatchObject({
      ...{ code: "invalid_input", message: expect.stringContaining("1001 domains match") },
    });
  });
});
