/**
 * A base with linked clones: no endpoint may write to what they stand on, and each that may run on it leaves
 * the clones' bytes as they were.
 */
import { readFileSync, rmSync } from "node:fs";
import { describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  diskPaths,
  everything,
  image,
  imageInfo,
  machine,
  names,
  type Options,
  same,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { Answer } from "../../server.ts";

const { test, server } = labTest({ start, tidy: wipe });

const post = (path: string, input: object) => server.post(`/libvirt/${path}`, input);
const clone = (input: object) => post("clone", input);
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();

/** A machine `base` on one qcow2 disk of its own. */
async function base(name = "base", options: Options = {}) {
  const path = await image(`${name}.qcow2`);
  return machine(name, { disks: [path], ...options });
}

describe("a base with overlays", () => {
  const HOW: [string, () => Promise<unknown>][] = [
    ["a file", () => base()],
    [
      "a volume",
      async () => {
        await image("base.qcow2");
        const source = xml`<source pool="default" volume="base.qcow2"/>`;
        const disk = xml`<disk type="volume" device="disk"><driver name="qemu" type="qcow2"/>${source}<target dev="vda" bus="virtio"/></disk>`;
        await machine("base", { disks: [disk] });
      },
    ],
  ];
  for (const [how, make] of HOW)
    test(`that is ${how} is left alone until the last child is gone`, async () => {
      await make();
      await virsh("snapshot-create-as", "--domain", "base", "--name", "s0");
      const input = { source: "base", name_prefix: "c", count: 2, linked: true };
      expect((await post("clone/multiple", input)).body.successful).toBe(2);
      const overlays = [1, 2].map((i) => at(`c-${i}.qcow2`));
      for (const path of overlays) {
        expect((await imageInfo(path))["backing-filename"]).toBe(at("base.qcow2"));
        expect((await imageInfo(path))["actual-size"]).toBeLessThan(2 ** 20);
      }
      const before = await imageInfo(at("base.qcow2"));
      const volume = { pool: "default", volume: "base.qcow2" };
      const snapshot = { domain_name: "base", snapshot_name: "s0" };
      const attempts = (): [string, Promise<Answer>][] => [
        ["start", post("domain/start", { name: "base" })],
        ["delete", post("volume/delete", { ...volume, force: true })],
        ["wipe", post("volume/wipe", { ...volume, force: true })],
        ["trim", post("volume/wipe", { ...volume, force: true, algorithm: "trim" })],
        ["resize", post("volume/resize", { ...volume, capacity: 1 })],
        ["shrink", post("volume/resize", { ...volume, capacity: "32MiB", shrink: true })],
        ["revert", post("snapshot/revert", snapshot)],
        ["revert and run", post("snapshot/revert", { ...snapshot, state: "running" })],
        ["batch", post("batch/start", { domains: ["base"] })],
        ["batch, paused", post("batch/start", { domains: ["base"], paused: true })],
        ["batch, delete", post("batch/delete", { domains: ["base"] })],
        ["batch, all", post("batch/delete", { domains: ["base"], remove_storage: true })],
        ["move", clone({ source: "base", target: "moved", preserve: false })],
      ];
      for (const left of [overlays, overlays.slice(1)]) {
        for (const [what, answer] of attempts()) {
          const { body } = await answer;
          const said = what.startsWith("batch") ? body.results[0] : body;
          expect([what, said.code, said.error]).toEqual([
            what,
            "in_use",
            expect.stringContaining(left.join(", ")),
          ]);
          expect(said.children).toEqual(left);
        }
        expect(await state("base")).toBe("shut off");
        const gone = left[0]?.match(/c-\d/)?.[0];
        const deleted = await post("batch/delete", { domains: [gone], remove_storage: true });
        expect(deleted.body.results[0]).toMatchObject({ success: true, removed: [left[0]] });
      }
      expect(await imageInfo(at("base.qcow2"))).toEqual(before);
      expect(await names()).toEqual(["base"]);
      expectSuccess(
        await post("snapshot/revert", {
          domain_name: "base",
          snapshot_name: "s0",
        }),
      );
      expectSuccess(await post("domain/start", { name: "base" }));
      await virsh("destroy", "--domain", "base");
      await virsh("snapshot-delete", "--domain", "base", "s0");
      expectSuccess(await post("volume/resize", { ...volume, capacity: 1 }));
      expectSuccess(await post("volume/wipe", { ...volume, force: true }));
      expectSuccess(await post("volume/delete", { ...volume, force: true }));
    });

  test("below a snapshot's overlay is not merged into", async () => {
    await base();
    expectSuccess(await clone({ source: "base", target: "child", linked: true }), 201);
    await virsh("snapshot-create-as", "--domain", "base", "--name", "s1", "--disk-only");
    const input = { domain_name: "base", snapshot_name: "s1" };
    expectError(await post("snapshot/delete", input), 500, "in_use", /child\.qcow2 stand on/);
    const { body } = await post("batch/delete", { domains: ["base"], snapshots_only: true });
    expect(body.results[0]).toMatchObject({ code: "in_use", children: [at("child.qcow2")] });
    expect(await diskPaths("base")).toEqual([at("base.s1")]);
    await post("batch/delete", { domains: ["child"], remove_storage: true });
    expectSuccess(await post("snapshot/delete", input));
    expect(await diskPaths("base")).toEqual([at("base.qcow2")]);
  });

  test("that went on to an overlay of its own is not reverted below it", async () => {
    await base();
    const overlay = at("base.s1");
    expectSuccess(await post("snapshot/create", { domain_name: "base", snapshot_name: "s0" }), 201);
    await sh("qemu-io -f qcow2 -c 'write -P 0x22 0 64k' base.qcow2");
    expectSuccess(await clone({ source: "base", target: "child", linked: true }), 201);
    const only = { domain_name: "base", snapshot_name: "s1", disk_only: true };
    expectSuccess(await post("snapshot/create", only), 201);
    const before = (await everything()).files;
    const revert = { domain_name: "base", snapshot_name: "s0" };
    for (const left of [[overlay, at("child.qcow2")], [overlay]]) {
      const answer = await post("snapshot/revert", revert);
      expectError(answer, 500, "in_use", /^snapshot s0 is within the base of .*which would break/);
      expect(answer.body.children.sort()).toEqual(left);
      expect((await everything()).files).toMatchObject(
        Object.fromEntries(Object.entries(before).filter(([path]) => left.includes(path))),
      );
      await post("batch/delete", { domains: ["child"], remove_storage: true });
    }
    expect((await everything()).files[at("base.qcow2")]).toBe(before[at("base.qcow2")]);
  });

  test("whose clones stand on its snapshot's overlay: that is left alone, too", async () => {
    await base();
    const snapshot = { domain_name: "base", snapshot_name: "s1" };
    expectSuccess(await post("snapshot/create", { ...snapshot, disk_only: true }), 201);
    expectSuccess(await clone({ source: "base", target: "child", linked: true }), 201);
    expect((await imageInfo(at("child.qcow2")))["backing-filename"]).toBe(at("base.s1"));
    const before = (await everything()).files;
    for (const [path, input] of [
      ["snapshot/revert", snapshot],
      ["snapshot/delete", snapshot],
      ["domain/start", { name: "base" }],
    ] as const)
      expectError(await post(path, input), 500, "in_use", /child\.qcow2/);
    expect((await everything()).files).toEqual(before);
    await post("batch/delete", { domains: ["child"], remove_storage: true });
    expectSuccess(await post("snapshot/revert", snapshot));
  });

  test("every other endpoint leaves its children's bytes as they were", async () => {
    await base();
    expectSuccess(await clone({ source: "base", target: "child", linked: true }), 201);
    await sh("qemu-io -f qcow2 -c 'write -P 0x33 1M 64k' child.qcow2");
    await sh("qemu-img convert -O raw child.qcow2 /run/child.raw; truncate -s 1M ../plain");
    const volume = { pool: "default", volume: "base.qcow2" };
    const domains = ["base"];
    const [vm, name] = [{ domain_name: "base" }, { name: "base" }];
    const export_path = "/var/lib/libvirt/exports";
    const calls: [string, object, string][] = [
      // taken: nothing is written over it
      ["clone", { source: "child", target: "x", files: [at("base.qcow2")] }, "already_exists"],
      ["clone", { source: "child", target: "base" }, "already_exists"],
      ["template/deploy", { template: "child", name: "base" }, "already_exists"],
      ["template/create", { domain: "child", name: "base" }, "already_exists"],
      ["volume/create", { pool: "default", name: "base.qcow2", capacity: 1 }, "already_exists"],
      ["volume/upload", { ...volume, source_path: "/var/lib/libvirt/plain" }, "already_exists"],
      [
        "volume/clone",
        { pool: "default", source_volume: "child.qcow2", target_volume: "base.qcow2" },
        "already_exists",
      ],
      // it is off, and stays so
      ["domain/resume", name, "not_active"],
      ["domain/reboot", name, "not_active"],
      ["batch/resume", { domains }, "not_active"],
      ["batch/reboot", { domains, force: true }, "not_active"],
      // its data are read, or kept beside
      ["clone", { source: "base", target: "full" }, ""],
      ["clone/multiple", { source: "base", name_prefix: "f", count: 2 }, ""],
      ["template/create", { domain: "base", name: "t" }, ""],
      ["template/deploy", { template: "base", name: "d", linked: true }, ""],
      ["template/export", { template: "base", export_path, compress: true }, ""],
      [
        "volume/clone",
        { pool: "default", source_volume: "base.qcow2", target_volume: "v.qcow2" },
        "",
      ],
      ["snapshot/create", { ...vm, snapshot_name: "s1" }, ""],
      ["batch/snapshot", { domains, name_prefix: "b" }, ""],
      ["snapshot/delete", { ...vm, snapshot_name: "s1" }, ""],
      ["batch/delete", { domains, snapshots_only: true }, ""],
      ["snapshot/create", { ...vm, snapshot_name: "s2", disk_only: true }, ""],
      ["domain/start", name, ""], // on the overlay that it has now
      ["domain/destroy", name, ""],
      ["snapshot/revert", { ...vm, snapshot_name: "s2" }, ""],
    ];
    for (const [path, input, code] of calls) {
      const { body } = await post(path, input);
      const said = body.results?.[0] ?? body;
      expect([path, said.code ?? "", said.error], JSON.stringify(body)).toEqual([
        path,
        code,
        code ? expect.any(String) : undefined,
      ]);
      expect([path, await same(at("child.qcow2"), "/run/child.raw")]).toEqual([path, true]);
    }
    rmSync("/run/child.raw");
  });

  test("forgotten by virsh as a domain, it stays as a disk, and is still refused to others", async () => {
    await base();
    expectSuccess(await clone({ source: "base", target: "child", linked: true }), 201);
    await sh("qemu-img convert -O raw child.qcow2 /run/child.raw");
    await virsh("undefine", "--domain", "base");
    const volume = { pool: "default", volume: "base.qcow2", force: true };
    expectError(await post("volume/delete", volume), 500, "in_use", /child\.qcow2/);
    expect(await same(at("child.qcow2"), "/run/child.raw")).toBe(true);
    expectSuccess(await post("domain/start", { name: "child" }));
    await post("batch/delete", { domains: ["child"], remove_storage: true });
    expectSuccess(await post("volume/delete", volume));
    expect((await sh("ls")).trim()).toBe("");
    rmSync("/run/child.raw");
  });

  test("boots its children, and keeps its own bytes", { timeout: slow(90_000) }, async () => {
    await base("base", { console: "/run/base.log" });
    const before = await everything();
    const input = { source: "base", name_prefix: "k", count: 3, linked: true };
    expect((await post("clone/multiple", input)).body.successful).toBe(3);
    const domains = ["k-1", "k-2", "k-3"];
    expect((await post("batch/start", { domains })).body.successful).toBe(3);
    for (const name of domains)
      await until(
        `${name} boots`,
        () => /READY/.test(readFileSync(`/run/${name}.log`, "utf8")),
        60,
      );
    expect((await everything()).files).toMatchObject(before.files);
  });
});
