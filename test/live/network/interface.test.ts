/** Attach and detach on machines in every state, as virsh sees them. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  clean,
  defineDomain,
  defineNetwork,
  expectError,
  expectSuccess,
  nics,
  storedNics,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";

const { test, server } = labTest();

async function networks() {
  await defineNetwork("lan");
  await virsh("net-start", "lan");
  await defineNetwork("off");
}

const attach = (input: object) =>
  server.post("/libvirt/interface/attach", { vm_name: "vm", network: "lan", ...input });
const detach = (mac: string, vm_name = "vm") =>
  server.post("/libvirt/interface/detach", { vm_name, mac });
const states = async () => (await virsh("domstate", "vm")).trim();

/** Whether an interface is there: as the machine runs, as it is stored. */
async function where(domain: string, mac: string) {
  const has = (list: { mac?: string | undefined }[]) => list.some((nic) => nic.mac === mac);
  return [has(await nics(domain)), has(await storedNics(domain))];
}

describe("attach", () => {
  beforeEach(networks);
  afterEach(clean);

  const STATES: [string, string[][], { live: boolean; persistent: boolean }][] = [
    ["shut off", [], { live: false, persistent: true }],
    ["running", [["start", "vm"]], { live: true, persistent: true }],
    [
      "paused",
      [
        ["start", "vm"],
        ["suspend", "vm"],
      ],
      { live: true, persistent: true },
    ],
    [
      "transient",
      [
        ["start", "vm"],
        ["undefine", "vm"],
      ],
      { live: true, persistent: false },
    ],
  ];
  for (const [state, commands, scope] of STATES) {
    test(`to a machine that is ${state}`, async () => {
      await defineDomain("vm");
      for (const command of commands) await virsh(...command);
      const before = await states();
      const first = expectSuccess(await attach({}));
      const second = expectSuccess(await attach({ model: "e1000" }));
      expect(first).toEqual({
        vm_name: "vm",
        network: "lan",
        model: "virtio",
        mac: expect.stringMatching(/^52:54:00(:[0-9a-f]{2}){3}$/),
        ...scope,
      });
      const expected = [
        { mac: first.mac, network: "lan", model: "virtio" },
        { mac: second.mac, network: "lan", model: "e1000" },
      ];
      expect(await nics("vm")).toEqual(expected);
      if (scope.persistent) expect(await storedNics("vm")).toEqual(expected);
      expect(await states()).toBe(before);
      expect((await virsh("dominfo", "vm")).match(/Persistent: +(\w+)/)?.[1]).toBe(
        scope.persistent ? "yes" : "no",
      );
    });
  }

  test("what was attached to a shut-off machine is there when it starts", async () => {
    await defineDomain("vm");
    const { mac } = expectSuccess(await attach({ model: "e1000e" }));
    await virsh("start", "vm");
    expect(await where("vm", mac)).toEqual([true, true]);
  });

  test("to a network that does not run: only a shut-off machine can wait for it", async () => {
    await defineDomain("vm");
    expect(expectSuccess(await attach({ network: "off" }))).toMatchObject({ persistent: true });
    await virsh("detach-interface", "vm", "network", "--config");
    await virsh("start", "vm");
    expectError(await attach({ network: "off" }), 500, "not_active", /'off' is not active/);
    expect([await nics("vm"), await storedNics("vm")]).toEqual([[], []]);
  });

  test("nothing is stored when there is no such network, or no such machine", async () => {
    await defineDomain("vm");
    expectError(await attach({ network: "gone" }), 404, "not_found", /'gone'/);
    await virsh("start", "vm");
    expectError(await attach({ network: "gone" }), 404, "not_found", /'gone'/);
    expect([await nics("vm"), await storedNics("vm")]).toEqual([[], []]);
    expectError(await attach({ vm_name: "gone" }), 404, "not_found", /'gone'/);
  });

  test("16 at once: each has its own interface", async () => {
    await defineDomain("vm");
    const answers = await Promise.all(Array.from({ length: 16 }, () => attach({})));
    const macs = answers.map((answer) => expectSuccess(answer).mac);
    const stored = (await storedNics("vm")).map(({ mac }) => mac);
    expect(stored.sort()).toEqual(macs.sort());
    expect(new Set(macs).size).toBe(16);
  });
});

const MAC = "52:54:00:ab:cd:ef";
const plug = (domain: string, ...scope: string[]) =>
  virsh("attach-interface", domain, "network", "lan", "--mac", MAC, "--model", "virtio", ...scope);

describe("detach", () => {
  beforeEach(networks);
  afterEach(clean);

  test("from a shut-off machine, the MAC in capitals", async () => {
    await defineDomain("vm");
    await plug("vm", "--config");
    const other = expectSuccess(await attach({}));
    expect(expectSuccess(await detach(MAC.toUpperCase()))).toEqual({
      vm_name: "vm",
      mac: MAC,
      live: false,
      persistent: true,
    });
    expect((await storedNics("vm")).map(({ mac }) => mac)).toEqual([other.mac]);
  });

  test("from a running machine that has it stored only", async () => {
    await defineDomain("vm");
    await virsh("start", "vm");
    await plug("vm", "--config");
    expect(expectSuccess(await detach(MAC))).toMatchObject({ live: false, persistent: true });
    expect(await where("vm", MAC)).toEqual([false, false]);
  });

  test("no such interface, no such machine", async () => {
    await defineDomain("vm");
    const { mac } = expectSuccess(await attach({}));
    expectError(await detach(MAC), 404, "not_found", new RegExp(MAC));
    expectError(await detach(mac, "gone"), 404, "not_found", /'gone'/);
    expect(await where("vm", mac)).toEqual([true, true]);
  });
});

describe.concurrent("detach while it runs: the guest has a say", () => {
  beforeAll(networks);
  afterAll(clean);

  test("one that never lets go was asked to; the stored definition loses the interface", async () => {
    await defineDomain("deaf"); // nothing boots in it
    await virsh("start", "deaf");
    await plug("deaf", "--live", "--config");
    const asked = { vm_name: "deaf", mac: MAC, live: "requested" };
    expect(expectSuccess(await detach(MAC, "deaf"))).toEqual({ ...asked, persistent: true });
    expect(await where("deaf", MAC)).toEqual([true, false]);
    expect(expectSuccess(await detach(MAC, "deaf"))).toEqual({ ...asked, persistent: false });
    await virsh("destroy", "deaf");
    await virsh("start", "deaf");
    expect(await where("deaf", MAC)).toEqual([false, false]);
  });

  test("one that never lets go, transient and paused", async () => {
    const other = "52:54:00:ab:cd:aa";
    await defineDomain("passing");
    await virsh("start", "passing");
    await virsh("undefine", "passing");
    await virsh("suspend", "passing");
    await virsh("attach-interface", "passing", "network", "lan", "--mac", other, "--live");
    expect(expectSuccess(await detach(other, "passing"))).toEqual({
      ...{ vm_name: "passing", mac: other },
      ...{ live: "requested", persistent: false },
    });
    expect((await nics("passing")).map(({ mac }) => mac)).toEqual([other]);
  });

  test("one that lets go: it is gone in both, and from a transient machine", async () => {
    const folder = await mkdtemp(join(tmpdir(), "guest-"));
    const console = join(folder, "console");
    const booted = async () => (await readFile(console, "utf8").catch(() => "")).includes("READY");
    try {
      await defineDomain("linux", { console });
      await virsh("start", "linux");
      await until("the guest boots", booted, 40);
      await plug("linux", "--live", "--config");
      expect(await where("linux", MAC)).toEqual([true, true]);
      const both = expectSuccess(await detach(MAC, "linux"));
      expect(both).toEqual({ vm_name: "linux", mac: MAC, live: true, persistent: true });
      expect(await where("linux", MAC)).toEqual([false, false]);

      await plug("linux", "--live"); // never stored
      const running = expectSuccess(await detach(MAC, "linux"));
      expect(running).toMatchObject({ live: true, persistent: false });
      expect(await where("linux", MAC)).toEqual([false, false]);

      await virsh("undefine", "linux");
      const { mac } = expectSuccess(await attach({ vm_name: "linux" }));
      const transient = expectSuccess(await detach(mac, "linux"));
      expect(transient).toMatchObject({ live: true, persistent: false });
      expect(await nics("linux")).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
