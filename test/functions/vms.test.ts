/** GET /vms/list and what is done to one domain by its path: over several hypervisors, for callers with limits. */
import { describe, expect, test } from "vitest";
import info from "../../functions/vms/info.ts";
import list from "../../functions/vms/list.ts";
import poweroff from "../../functions/vms/poweroff.ts";
import { HyperError } from "../../runtime/core/errors.ts";
import { away, type Fleet, fleet, limited } from "../fixtures/fleet.ts";

const silent = new HyperError("timed_out", "QEMU of domain mute does not answer");
const FLEET: Fleet = {
  kvm1: {
    web: { tags: ["prod"], memory: 4096, vcpus: 4, mac: "52:54:00:00:00:01" },
    db: { tags: ["prod", "db"], memory: 8192, vcpus: 2, state: "shut off" },
    mute: { silent },
  },
  kvm2: { web: { memory: 1024 } },
  kvm3: away("kvm3"),
};

type Input = Parameters<typeof list>[0];
const run = (input: Input = {}, ctx = fleet(FLEET).ctx) =>
  list.spec.run(list.spec.input.parse(input), ctx);
const paths = async (input: Input, ctx = fleet(FLEET).ctx) =>
  (await run(input, ctx)).vms.map(({ path }) => path);

test("list has the domains of all hypervisors, and says whose are missing", async () => {
  const { vms, ...rest } = await run();
  expect(rest).toEqual({
    ...{ total: 4, cursor: null, unknown_vms: [] },
    unreachable: [
      { host: "kvm3", code: "unreachable", error: expect.stringContaining("no route") },
    ],
  });
  expect(vms[2]).toEqual({
    ...{
      name: "web",
      path: "kvm1/web",
      host: "kvm1",
      uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
    ...{ power_state: "running", guest_os: null, memory_mb: 4096, num_cpu: 4, storage_bytes: null },
    ...{ tags: ["prod"], networks: ["lan"], addresses: ["10.0.0.7"], reason: null },
  });
  expect(vms.map(({ path }) => path)).toEqual(["kvm1/db", "kvm1/mute", "kvm1/web", "kvm2/web"]);
  expect(vms[1]).toMatchObject({ tags: null, memory_mb: null, reason: silent.message });
  expect([vms[0], vms[3]]).toMatchObject([{ addresses: [] }, { addresses: null }]);
});

test("list finds what a query asks for, and tells of what it is not known", async () => {
  const { vms, total, unknown_vms } = await run({ q: "tag:prod OR memory:<2GiB" });
  expect(vms.map(({ path }) => path)).toEqual(["kvm1/db", "kvm1/web", "kvm2/web"]);
  expect([total, unknown_vms]).toEqual([
    3,
    [{ name: "mute", path: "kvm1/mute", reason: silent.message }],
  ]);
  expect(await paths({ q: "ip:10.0.0.0/24" })).toEqual(["kvm1/web"]);
});

test("list asks no hypervisor whose domains cannot match, and only those that are named", async () => {
  const asked = async (input: Input, requestedHosts?: string | string[]) => {
    const { ctx, calls } = fleet(FLEET);
    await run(input, { ...ctx, ...(requestedHosts && { requestedHosts }) });
    return [...new Set(calls.map(([host]) => host))];
  };
  expect(await asked({ q: "host:kvm2 AND web" })).toEqual(["kvm2"]);
  expect(await asked({}, "kvm2")).toEqual(["kvm2"]);
  expect(await asked({ q: "NOT host:kvm1" }, ["kvm1", "kvm2"])).toEqual(["kvm2"]);
});

describe("an order, a page at a time", () => {
  test.each([
    ["path", ["kvm1/db", "kvm1/mute", "kvm1/web", "kvm2/web"]],
    ["-path", ["kvm2/web", "kvm1/web", "kvm1/mute", "kvm1/db"]],
    ["name", ["kvm1/db", "kvm1/mute", "kvm1/web", "kvm2/web"]],
    ["-memory_mb", ["kvm1/db", "kvm1/web", "kvm2/web", "kvm1/mute"]],
    ["num_cpu", ["kvm1/mute", "kvm2/web", "kvm1/db", "kvm1/web"]],
  ] as const)("%s", async (sort, expected) => {
    expect(await paths({ sort })).toEqual(expected);
    const pages: string[][] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await run({ sort, limit: 3, ...(cursor && { cursor }) });
      expect(page.total).toBe(4);
      pages.push(page.vms.map(({ path }) => path));
      cursor = page.cursor;
    }
    expect(pages).toEqual([expected.slice(0, 3), expected.slice(3)]);
  });

  test("a cursor stays good while domains go", async () => {
    const { cursor } = await run({ limit: 2 });
    const { mute, ...kvm1 } = FLEET.kvm1 as Record<string, object>;
    expect(mute).toBeDefined();
    const { ctx } = fleet({ ...FLEET, kvm1 });
    expect(await paths({ cursor: `${cursor}` }, ctx)).toEqual(["kvm1/web", "kvm2/web"]);
  });

  test.each(["", "x", "e30", Buffer.from('["path",1]').toString("base64url")])(
    "cursor %j is none",
    (cursor) => expect(run({ cursor })).rejects.toThrow("cursor: must be the cursor"),
  );

  test("nor is one of another order", async () => {
    const { cursor } = await run({ limit: 1, sort: "name" });
    await expect(run({ cursor: `${cursor}`, sort: "path" })).rejects.toThrow("in the same order");
  });
});

test("a limited caller sees their own alone, and counts no other", async () => {
  const caller = limited({ domains: ["w*"], hosts: ["kvm1"] });
  const { ctx } = fleet(FLEET, { caller });
  expect(await run({}, ctx)).toMatchObject({
    ...{ vms: [{ path: "kvm1/web" }], total: 1, unknown_vms: [], unreachable: [] },
  });
  expect(await run({ q: "NOT tag:none" }, ctx)).toMatchObject({ total: 1, unknown_vms: [] });
});

describe("by path", () => {
  test("a name alone is of the call's hypervisor; another's is asked there", async () => {
    for (const [vm_path, path] of [
      ["web", "kvm1/web"],
      ["kvm2/web", "kvm2/web"],
    ] as const) {
      const { ctx, calls } = fleet(FLEET);
      expect(await poweroff.spec.run({ vm_path }, ctx)).toMatchObject({ success: true, path });
      expect(calls).toEqual([[path.slice(0, 4), "destroy", "--domain", "web"]]);
    }
  });

  test("a hypervisor that is not the caller's is refused, and so is an unknown one", async () => {
    const { ctx } = fleet(FLEET, { caller: limited({ hosts: ["kvm1"] }) });
    await expect(poweroff.spec.run({ vm_path: "kvm2/web" }, ctx)).rejects.toMatchObject({
      ...{ code: "forbidden", details: { missing: "host:kvm2" } },
    });
    await expect(info.spec.run({ vm_path: "no/web" }, fleet(FLEET).ctx)).rejects.toThrow("unknown");
    expect(info.spec.input.safeParse({ vm_path: "/web" }).success).toBe(false);
    expect(info.spec.input.safeParse({ vm_path: "a/b/c" }).success).toBe(false);
  });
});
