/** The life of a domain, endpoint by endpoint, and every answer that is no success. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { define, image, machine, start, wipe } from "../../fixtures/live/machine.ts";
import {
  defineDomain,
  defineNetwork,
  expectError,
  expectSuccess,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { guestSays, tinyGuestXml } from "../../lab/guest.ts";

const { test, server } = labTest({ start, tidy: wipe });

const call = (verb: string, name: string) => server.post(`/libvirt/domain/${verb}`, { name });
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();
const NAME = `it's  "a" vm; #`;

const VERBS = ["start", "shutdown", "destroy", "reboot", "pause", "resume"];
const KEYS = "name";

test("start, pause, resume, destroy: each does it, and says so", async () => {
  await defineDomain(NAME);
  const steps: [string, RegExp, string][] = [
    ["start", /started/, "running"],
    ["pause", /paused/, "paused"],
    ["resume", /resumed/, "running"],
    ["destroy", /switched off/, "shut off"],
  ];
  for (const [verb, said, expected] of steps) {
    const answer = await call(verb, NAME);
    expect(expectSuccess(answer)).toEqual({ name: NAME });
    expect(answer.body.message).toMatch(said);
    expect(answer.body.message).toContain(NAME);
    expect(await state(NAME)).toBe(expected);
  }
});

test("shutdown and reboot ask the guest", { timeout: slow(90_000) }, async () => {
  await define(await tinyGuestXml({ name: "guest" }));
  await virsh("start", "guest");
  await guestSays("guest", "READY");
  await sleep(slow(3000)); // until its button daemon listens
  const said = () => readFileSync("/var/log/libvirt/qemu/guest-console.log", "utf8");
  expect((await call("reboot", "guest")).body.message).toMatch(/was asked to reboot/);
  await until("it boots again", () => said().split("READY").length > 2, 60);
  await sleep(slow(3000));
  expect(expectSuccess(await call("shutdown", "guest"))).toEqual({ name: "guest" });
  await until("it shuts down", async () => (await state("guest")) === "shut off", 60);
  expect(said().split("POWER BUTTON").length).toBe(3);
});

test.each([
  ["start", "running", 500, "already_active", /already active/],
  ["start", "paused", 500, "already_active", /already active/],
  ["shutdown", "shut off", 500, "not_active", /not running/],
  ["destroy", "shut off", 500, "not_active", /not running/],
  ["reboot", "shut off", 500, "not_active", /not running/],
  ["pause", "shut off", 500, "not_active", /not running/],
  ["resume", "shut off", 500, "not_active", /not running/],
])("%s of a domain that is %s", async (verb, was, ...expected) => {
  await defineDomain("vm");
  if (was !== "shut off") await virsh("start", "vm");
  if (was === "paused") await virsh("suspend", "vm");
  expectError(await call(verb, "vm"), ...(expected as [number, string, RegExp]));
  expect(await state("vm")).toBe(was);
});

describe.each(VERBS)("domain/%s", (verb) => {
  const path = `/libvirt/domain/${verb}`;
  test("400, 404, 405 and 415", async () => {
    const bad: [unknown, RegExp][] = [
      [{}, /^name: required/],
      [{ name: "" }, /^name: must not be empty/],
      [{ name: 7 }, /^name: /],
      [{ name: "--all" }, /^name: /],
      [{ name: "a/b" }, /^name: /],
      [{ name: "a\nb" }, /^name: /],
      [{ name: "x", force: true }, new RegExp(`unknown key "force" .*allowed: ${KEYS}`)],
      [[], /./],
    ];
    for (const [body, text] of bad)
      expectError(await server.post(path, body), 400, "invalid_input", text);
    const json = { "Content-Type": "application/json" };
    const broken = await server.get(path, { method: "POST", headers: json, body: "{" });
    expectError(broken, 400, "invalid_input", /./);
    for (const name of ["nobody", "007", "' or 1", "é"])
      expectError(await call(verb, name), 404, "not_found", /./);
    const got = await server.get(`${path}?name=x`);
    expectError(got, 405, "method_not_allowed", /GET is not allowed here; use POST/);
    expect(got.headers.get("allow")).toBe("POST");
    const text = await server.post(path, {}, { headers: { "Content-Type": "text/plain" } });
    expectError(text, 415, "unsupported_media_type", /application\/json/);
  });
});

describe("domain and domains", () => {
  test("what virsh says of them", async () => {
    await defineNetwork("net 1");
    await virsh("net-start", "net 1");
    const disks = [
      await image("a.qcow2"),
      xml`<disk type="volume" device="cdrom"><source pool="default" volume="a.qcow2"/><target dev="hda" bus="ide"/><readonly/></disk>`,
    ];
    const uuid = await machine(NAME, { disks, network: "net 1" });
    await machine("007");
    await defineDomain("transient", { verb: "create" });
    await virsh("autostart", uuid);
    const data = expectSuccess(await server.get("/libvirt/domains"));
    const base = { persistent: true, autostart: false, managed_save: false, snapshots: false };
    expect(data.total).toBe(3);
    expect(data.domains).toEqual(
      expect.arrayContaining([
        { ...base, name: NAME, uuid, state: "shut off", autostart: true },
        expect.objectContaining({ ...base, name: "007", state: "shut off" }),
        expect.objectContaining({
          ...base,
          name: "transient",
          state: "running",
          persistent: false,
        }),
      ]),
    );
    const one = expectSuccess(await server.get(`/libvirt/domain?name=${encodeURIComponent(NAME)}`));
    expect(one).toMatchObject({
      ...{ name: NAME, uuid, id: null, state: "shut off", autostart: true, vcpus: 1 },
      ...{ memory_kb: 32768, max_memory_kb: 32768, os: { type: "hvm", arch: "x86_64" } },
      disks: [
        {
          device: "vda",
          kind: "disk",
          source: "/var/lib/libvirt/images/a.qcow2",
          format: "qcow2",
          readonly: false,
        },
        { device: "hda", kind: "cdrom", source: "default/a.qcow2", readonly: true },
      ],
      interfaces: [{ type: "network", source: "net 1", model: "virtio", device: null }],
    });
    const running = expectSuccess(await server.get("/libvirt/domain?name=transient"));
    expect(running).toMatchObject({ state: "running", persistent: false, id: expect.any(Number) });
    expect(expectSuccess(await server.get("/libvirt/domain?name=007")).name).toBe("007");
    await virsh("destroy", "transient");
    await virsh("net-destroy", "net 1");
    await virsh("net-undefine", "net 1");
  });

  test.each([
    ["/libvirt/domain", 400, "invalid_input", /^name: required/],
    ["/libvirt/domain?name=nobody", 404, "not_found", /nobody/],
    ["/libvirt/domain?name=7", 404, "not_found", /7/],
    ["/libvirt/domain?name=x&id=1", 400, "invalid_input", /unknown key "id"/],
    ["/libvirt/domains?state=off", 400, "invalid_input", /unknown key "state"/],
    ["/libvirt/domains?host=nowhere", 400, "invalid_input", /unknown hypervisor "nowhere"/],
  ])("GET %s", async (path, ...expected) => {
    expectError(await server.get(path), ...expected);
  });

  test.each(["/libvirt/domain", "/libvirt/domains"])("POST %s", async (path) => {
    const answer = await server.post(path, {});
    expectError(answer, 405, "method_not_allowed", /use GET/);
    expect(answer.headers.get("allow")).toBe("GET, HEAD");
  });
});
