/** Snapshots: internal and disk-only, of machines that run and that are off. What a disk holds says whether it is true. */

import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { asJobs, NOT_AS_JOB } from "../../as-job.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  diskPaths,
  everything,
  image,
  imageInfo,
  machine,
  programs,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import {
  BEFORE_9_9,
  NAMES_JOBS,
  REVERTS_OVERLAYS,
  SINCE_9_9,
  SINCE_11_3,
} from "../../fixtures/live/release.ts";
import { alive, expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";

const { test, server } = labTest({ start, tidy: wipe });

const VM = "it's a vm";
const post = (verb: string, snapshot_name: string, more: object = {}, domain_name = VM) =>
  server.post(`/libvirt/snapshot/${verb}`, { domain_name, snapshot_name, ...more });
const listed = async () => {
  const data = expectSuccess(await server.get(`/libvirt/snapshots?name=${encodeURIComponent(VM)}`));
  expect(data.total).toBe(data.snapshots.length);
  return data.snapshots as Record<string, unknown>[];
};
const state = async () => (await virsh("domstate", "--domain", VM)).trim();
const tree = async () =>
  Object.fromEntries(
    (await listed()).map(({ name, parent, current }) => [name, [parent, current]]),
  );

/** A byte of a disk as its guest sees it, which stands for all. */
const write = async (byte: string, i = 0) =>
  sh(`qemu-io -f qcow2 -c 'write -P ${byte} 0 64k' '${(await diskPaths(VM))[i]}'`);
const reads = async (byte: string, i = 0) =>
  sh(`qemu-io -U -r -f qcow2 -c 'read -P ${byte} 0 64k' '${(await diskPaths(VM))[i]}'`).then(
    (said) => !/verification failed/.test(said),
  );

/** libvirt names the overlays that a revert makes by the second, and refuses a second revert within it. */
const anotherSecond = async () => {
  if (REVERTS_OVERLAYS) await sleep(1000);
};

async function define(running: boolean) {
  await machine(VM, { disks: [await image("disk.qcow2")] });
  await write("0x11");
  if (running) await virsh("start", "--domain", VM);
}

describe.each([
  ["off", false],
  ["that runs", true],
])("internal, of a machine %s", (_what, running) => {
  test("create, list, revert, delete", async () => {
    await define(running);
    const began = Math.floor(Date.now() / 1000) * 1000;
    const s1 = running && NAMES_JOBS ? "s-1" : "s 1";
    const first = expectSuccess(await post("create", s1, { description: "<a> & 'b'" }), 201);
    expect(first).toMatchObject({
      ...{ name: s1, parent: null, current: true, location: "internal" },
      ...{ state: running ? "running" : "shutoff", description: "<a> & 'b'" },
    });
    expect(Date.parse(first.created)).toBeGreaterThanOrEqual(began);
    expect(Date.parse(first.created)).toBeLessThan(Date.now() + 1000);
    expectSuccess(await post("create", "2"), 201);
    expectSuccess(await post("create", "s3"), 201);
    expect(await tree()).toEqual({ [s1]: [null, false], "2": [s1, false], s3: ["2", true] });
    expect((await listed()).map(({ name }) => name)).toEqual([s1, "2", "s3"]);

    if (running) await virsh("destroy", "--domain", VM);
    await write("0x22");
    const reverted = expectSuccess(await post("revert", s1));
    expect(reverted).toEqual({
      domain_name: VM,
      snapshot_name: s1,
      state: running ? "running" : "shut off",
    });
    expect(await state()).toBe(reverted.state);
    if (running) await virsh("destroy", "--domain", VM);
    expect(await reads("0x11")).toBe(true);
    // a second branch of the tree
    expectSuccess(await post("create", "branch"), 201);
    expect(await tree()).toMatchObject({ branch: [s1, true], s3: ["2", false] });

    expectSuccess(await post("delete", "2"));
    expect(await tree()).toEqual({
      [s1]: [null, false],
      s3: [s1, false],
      branch: [s1, true],
    });
    expectSuccess(await post("delete", s1, { children: true }));
    expect(await listed()).toEqual([]);
    expect(await imageInfo(at("disk.qcow2"))).not.toHaveProperty("snapshots");
  });
});

test.runIf(NAMES_JOBS)(
  `a name that no job of QEMU can have, while the machine runs ${SINCE_11_3}`,
  async () => {
    await define(false);
    expectSuccess(await post("create", "off: é"), 201);
    expectSuccess(await post("create", "c"), 201);
    await virsh("start", "--domain", VM);
    for (const name of ["s 1", "a:b", "a+b", "ü"]) {
      const ways = /choose such a name, shut the domain down first, or .* \(disk_only\)$/;
      const answer = await post("create", name);
      expectError(answer, 500, "unsupported", ways);
      expect(answer.body.error).toContain(`not ${JSON.stringify(name)}: `);
    }
    const deleting = /not "off: é": shut the domain down first$/;
    expectError(await post("delete", "off: é"), 500, "unsupported", deleting);
    expect((await listed()).map(({ name }) => name)).toEqual(["off: é", "c"]);
    expect(await state()).toBe("running");
    // the ways that were named
    expectSuccess(await post("create", "A.z_0-9"), 201);
    await virsh("destroy", "--domain", VM);
    expectSuccess(await post("create", "s 1"), 201);
    expectSuccess(await post("delete", "off: é", { children: true }));
    expect(await listed()).toEqual([]);
    await virsh("start", "--domain", VM);
    expectSuccess(await post("create", "s 1", { disk_only: true }), 201);
  },
);

test.each(["running", "paused"] as const)(
  "reverting to one of a machine that was off, %s",
  async (wanted) => {
    await define(false);
    expectSuccess(await post("create", "s1"), 201);
    expect(expectSuccess(await post("revert", "s1", { state: wanted })).state).toBe(wanted);
    expect(await state()).toBe(wanted);
  },
);

describe.each([
  ["off", false],
  ["that runs", true],
])("disk-only, of a machine %s", (_what, running) => {
  test("create, list, revert, delete", async () => {
    await define(running);
    const one = expectSuccess(await post("create", "s1", { disk_only: true, atomic: true }), 201);
    expect(one).toMatchObject({
      state: running ? "disk-snapshot" : "shutoff",
      location: "external",
      current: true,
    });
    expect(await diskPaths(VM)).toEqual([at("disk.s1")]);
    expectSuccess(await post("create", "s2", { disk_only: true }), 201);
    expect(await tree()).toEqual({ s1: [null, false], s2: ["s1", true] });
    if (!REVERTS_OVERLAYS) {
      const early = await post("revert", "s1");
      expectError(early, 500, "in_use", /s1 is not the latest; delete the later ones first/);
      expect(await state()).toBe(running ? "running" : "shut off");
    }

    if (running) await virsh("destroy", "--domain", VM);
    await write("0x33");
    expect(await reads("0x33")).toBe(true);
    if (running) await virsh("start", "--domain", VM);
    expect(expectSuccess(await post("revert", "s2")).state).toBe("shut off");
    expect(await reads("0x11")).toBe(true);
    await write("0x44");
    await anotherSecond();
    expect(expectSuccess(await post("revert", "s2", { state: "paused" })).state).toBe("paused");
    await virsh("destroy", "--domain", VM);
    expect(await reads("0x11")).toBe(true);
    await write("0x45");
    await anotherSecond();
    expect(expectSuccess(await post("revert", "s2", { state: "running" })).state).toBe("running");
    expect(await state()).toBe("running");
    await virsh("destroy", "--domain", VM);
    expect(await reads("0x11")).toBe(true);
    expect(await tree()).toEqual({ s1: [null, false], s2: ["s1", true] });

    await write("0x55");
    if (running) await virsh("start", "--domain", VM);
    for (const name of ["s2", "s1"]) expectSuccess(await post("delete", name));
    expect(await listed()).toEqual([]);
    await until(
      "the overlays are merged",
      async () => (await diskPaths(VM))[0] === at("disk.qcow2"),
    );
    if (running) await virsh("destroy", "--domain", VM);
    expect(await reads("0x55")).toBe(true);
    expect((await sh("ls")).trim()).toBe("disk.qcow2");
  });
});

test.each([
  ["off", false],
  ["that runs", true],
])("disk-only, of all disks of a machine %s, raw ones too", async (_what, running) => {
  const disks = [await image("one.qcow2"), await image("two.raw"), await image("cd.iso")];
  const cdrom = xml`<disk type="file" device="cdrom"><source file="${disks[2]}"/><target dev="hda" bus="ide"/><readonly/></disk>`;
  await machine(VM, { disks: [...disks.slice(0, 2), cdrom] });
  await write("0x11");
  await sh("qemu-io -f raw -c 'write -P 0x12 0 64k' two.raw");
  if (running) await virsh("start", "--domain", VM);
  const files = (await everything()).files;
  expectSuccess(await post("create", "s1", { disk_only: true }), 201);
  expect((await diskPaths(VM)).slice(0, 2)).toEqual([at("one.s1"), at("two.s1")]);
  if (running) await virsh("destroy", "--domain", VM);
  for (const i of [0, 1]) await write("0x33", i);
  if (running) await virsh("start", "--domain", VM);
  expect(expectSuccess(await post("revert", "s1")).state).toBe("shut off");
  expect([await reads("0x11", 0), await reads("0x12", 1)]).toEqual([true, true]);
  const overlays = (await diskPaths(VM)).slice(0, 2);
  // libvirt gives the new ones names with the time
  if (!REVERTS_OVERLAYS) expect(overlays).toEqual([at("one.s1"), at("two.s1")]);
  for (const path of overlays)
    expect((await imageInfo(path))["backing-filename"]).toMatch(/\/(one\.qcow2|two\.raw)$/);
  expect((await everything()).files).toMatchObject(files);
  expect((await everything()).notes).toEqual([]);
  await virsh("start", "--domain", VM);
});

test.runIf(REVERTS_OVERLAYS)(
  `disk-only, not the latest: libvirt goes back by itself ${SINCE_9_9}`,
  async () => {
    await define(true);
    for (const name of ["s1", "s2"])
      expectSuccess(await post("create", name, { disk_only: true }), 201);
    await virsh("destroy", "--domain", VM);
    await write("0x33");
    expect(expectSuccess(await post("revert", "s1")).state).toBe("shut off");
    expect(await reads("0x11")).toBe(true);
    expect(await tree()).toEqual({ s1: [null, true], s2: ["s1", false] });
  },
);

describe.runIf(REVERTS_OVERLAYS)(
  `after a revert to one that is not the latest ${SINCE_9_9}`,
  () => {
    const reverted = async () => {
      await define(false);
      for (const name of ["s1", "s2"])
        expectSuccess(await post("create", name, { disk_only: true }), 201);
      expectSuccess(await post("revert", "s1"));
      await virsh("pool-refresh", "default");
    };

    test("each can be deleted, and the domain's data stays", async () => {
      await reverted();
      for (const name of ["s2", "s1"]) expectSuccess(await post("delete", name));
      expect(await listed()).toEqual([]);
      expect(await reads("0x11")).toBe(true);
    });

    test("all can be deleted at once", async () => {
      await reverted();
      const input = { domains: [VM], snapshots_only: true };
      const { body } = await server.post("/libvirt/batch/delete", input);
      expect(body.results).toMatchObject([{ snapshots_deleted: ["s2", "s1"] }]);
      expect(await reads("0x11")).toBe(true);
    });

    test("a linked clone of a branch is still guarded", async () => {
      await reverted();
      const base = at("disk.s1"); // that s2 was taken of, and the present disk does not stand on
      await sh(`qemu-img create -q -f qcow2 -b '${base}' -F qcow2 clone.qcow2`);
      await virsh("pool-refresh", "default");
      expectError(await post("delete", "s2"), 500, "in_use", /clone\.qcow2 stand on the images/);
      expect(existsSync(base)).toBe(true);
    });
  },
);

describe("a revert that cannot be", () => {
  test("leaves the overlay as it was, and the machine running or said to be off", async () => {
    await define(true);
    expectSuccess(await post("create", "s1", { disk_only: true }), 201);
    await sh("mkdir /run/full; mv disk.qcow2 /run/full/"); // the image below is gone; QEMU has it open
    const answer = await post("revert", "s1");
    if (REVERTS_OVERLAYS) {
      // libvirt has stopped it before it looks
      const text = /'vda'.*; the state of the domain was running, and is shut off now$/;
      expectError(answer, 500, "unsupported", text);
      expect(await state()).toBe("shut off");
    } else {
      expectError(answer, 500, "command_failed", /^qemu-img info: .*disk\.qcow2/);
      expect(await state()).toBe("running");
    }
    expect((await sh("ls")).trim()).toBe("disk.s1");
    await sh("mv /run/full/disk.qcow2 .");
  });

  test.skipIf(REVERTS_OVERLAYS)(`says how far it came ${BEFORE_9_9}`, async () => {
    await machine(VM, { disks: [await image("one.qcow2"), await image("two.qcow2")] });
    expectSuccess(await post("create", "s1", { disk_only: true }), 201);
    const mv = 'case "$*" in *two*) echo "Input/output error" >&2; exit 1;; esac; exec $REAL "$@"';
    const other = await start(programs("/run/bin-mv", { mv }));
    const input = { domain_name: VM, snapshot_name: "s1" };
    const text = /^mv: Input.*; the domain is off, and 1 of its 2 disks are reverted$/;
    expectError(await other.post("/libvirt/snapshot/revert", input), 500, "command_failed", text);
    expect((await sh("ls")).split("\n").filter(Boolean).sort()).toEqual(
      ["one.qcow2", "one.s1", "two.qcow2", "two.s1"].sort(),
    );
    await other.stop();
  });

  test.skipIf(REVERTS_OVERLAYS || asJobs)(
    `of a server that is killed is named by the next ${BEFORE_9_9} ${NOT_AS_JOB}`,
    async () => {
      await define(false);
      expectSuccess(await post("create", "s1", { disk_only: true }), 201);
      const other = await start(programs("/run/bin-mv", { mv: "touch /run/held; sleep 60" }));
      const input = { domain_name: VM, snapshot_name: "s1" };
      const answer = other.post("/libvirt/snapshot/revert", input).catch(() => "gone");
      await until("it is held", () => existsSync("/run/held"));
      process.kill(other.pid, "SIGKILL");
      expect(await answer).toBe("gone");
      await until("it is dead", () => !alive(other.pid));
      const leftovers = async () => (await server.get("/status")).body.data.hosts[0].leftovers;
      expect(await leftovers()).toMatchObject([
        { operation: `revert of ${VM} to s1`, left: [`file ${at("disk.s1.reverting")}`] },
      ]);
      expectSuccess(await post("revert", "s1")); // and is in nobody's way
      expect(await leftovers()).toEqual([]);
      expect((await sh("ls")).split("\n").filter(Boolean)).toEqual(["disk.qcow2", "disk.s1"]);
    },
  );
});

test("any description that is accepted comes back as it was, and what libvirt would refuse is not asked of it", async () => {
  await define(false);
  const good = [
    "tab\tand\nnewline\n",
    " é日本😀\u007f\u0085\u2028\uFEFF ",
    "--no-metadata",
    "]]>&amp;'",
  ];
  for (const [i, description] of good.entries()) {
    const made = expectSuccess(await post("create", `s${i}`, { description }), 201);
    expect(made.description).toBe(description);
  }
  const input = { domain: VM, name: "t", description: good.join(""), metadata: { "k y": good[1] } };
  const made = expectSuccess(await server.post("/libvirt/template/create", input), 201);
  expect(made.description).toBe(good.join(""));
  const { templates } = expectSuccess(await server.get("/libvirt/template/list"));
  const mark = templates.find(({ name }: { name: string }) => name === "t").template;
  expect(mark).toMatchObject({ description: good.join(""), metadata: { "k y": good[1] } });

  const before = await everything();
  for (const bad of ["\u0000", "\u0001", "\u001b[0m", "a\r\nb", "\uFFFE", "\uD800", "\u000b"]) {
    const allowed = /^(description|metadata\.k): must not contain control characters but/;
    expectError(await post("create", "x", { description: bad }), 400, "invalid_input", allowed);
    const template = { domain: VM, name: "u" };
    for (const one of [{ description: bad }, { metadata: { k: bad } }]) {
      const answer = await server.post("/libvirt/template/create", { ...template, ...one });
      expectError(answer, 400, "invalid_input", allowed);
    }
    const named = { ...template, metadata: { [`k${bad}`]: "v" } };
    const answer = await server.post("/libvirt/template/create", named);
    expectError(answer, 400, "invalid_input", /^metadata: each key must be 1 to 255 characters/);
  }
  expect(await everything()).toEqual(before);
});

test("errors", async () => {
  await define(false);
  expectSuccess(await post("create", "s1"), 201);
  expectError(await post("create", "s1"), 500, "already_exists", /s1/);
  for (const verb of ["revert", "delete"]) {
    expectError(await post(verb, "nothing"), 404, "not_found", /nothing/);
    expectError(await post(verb, "s1", {}, "nobody"), 404, "not_found", /nobody/);
    expectError(await post(verb, "a/b"), 400, "invalid_input", /^snapshot_name: /);
  }
  expectError(await post("create", "s2", {}, "nobody"), 404, "not_found", /nobody/);
  expectError(
    await post("create", "s2", { quiesce: 1 }),
    400,
    "invalid_input",
    /unknown key "quiesce"/,
  );
  expectError(await post("revert", "s1", { state: "off" }), 400, "invalid_input", /^state: /);
  expectError(await server.get("/libvirt/snapshots"), 400, "invalid_input", /^name: required/);
  expectError(await server.get("/libvirt/snapshots?name=nobody"), 404, "not_found", /nobody/);
  expectError(await server.get("/libvirt/snapshot/create"), 405, "method_not_allowed", /use POST/);
  expect(await tree()).toEqual({ s1: [null, true] });

  await machine("raw", { disks: [await image("r.raw")] });
  expectError(await post("create", "s1", {}, "raw"), 500, "unsupported", /raw/);
});

describe("disk-only, of disks that are named by pool and volume", () => {
  const volume = (name: string, target: string) =>
    xml`<disk type="volume" device="disk"><driver name="qemu" type="qcow2"/><source pool="default" volume="${name}"/><target dev="${target}" bus="virtio"/></disk>`;

  test.each([
    ["off", false],
    ["that runs", true],
  ])("of a machine %s", async (_what, running) => {
    await image("a.qcow2");
    await image("b.qcow2");
    const path = await image("c.qcow2");
    await machine(VM, { disks: [volume("a.qcow2", "vda"), volume("b.qcow2", "vdb"), path] });
    if (running) await virsh("start", "--domain", VM);
    expectSuccess(await post("create", "s1", { disk_only: true, atomic: true }), 201);
    expect(await diskPaths(VM)).toEqual(["a.s1", "b.s1", "c.s1"].map(at));
    for (const [name, base] of [
      ["a.s1", "a.qcow2"],
      ["b.s1", "b.qcow2"],
      ["c.s1", "c.qcow2"],
    ])
      expect(await imageInfo(at(`${name}`))).toMatchObject({
        "full-backing-filename": at(`${base}`),
      });
    if (!running) await virsh("start", "--domain", VM);
    expect(await state()).toBe("running");
  });

  test("a comma in an overlay's path, of a machine that is off, is refused", async () => {
    await image("a,b.qcow2");
    await machine(VM, { disks: [volume("a,b.qcow2", "vda")] });
    expectError(await post("create", "s1", { disk_only: true }), 500, "unsupported", /comma/);
    expect(await listed()).toEqual([]);
    await virsh("start", "--domain", VM);
    expectSuccess(await post("create", "s1", { disk_only: true }), 201);
    expect(await diskPaths(VM)).toEqual([at("a,b.s1")]);
    expect(existsSync(at("a,b.s1"))).toBe(true);
  });
});
