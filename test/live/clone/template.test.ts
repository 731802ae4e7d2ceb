/**
 * Templates: marked, listed, deployed, and with a real Debian guest sealed and customised. One sealed template
 * serves all tests of it.
 */
import { copyFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { attribute, children, textOf, xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  diskPaths,
  everything,
  GUESTFS,
  image,
  imageInfo,
  look,
  machine,
  names,
  parsed,
  programs,
  same,
  sha256,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import {
  defineNetwork,
  expectError,
  expectSuccess,
  nics,
  until,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { debianGuest, debianOs } from "../../lab/debian.ts";

const { test, server } = labTest({ start: () => start(undefined, GUESTFS) });
beforeAll(async () => {
  const address = xml`<ip address="10.77.0.1" prefix="24"><dhcp><range start="10.77.0.10" end="10.77.0.99"/></dhcp></ip>`;
  await defineNetwork("lan", address);
  await defineNetwork("other net");
  for (const name of ["lan", "other net"]) await virsh("net-start", name);
});
afterAll(async () => {
  await wipe();
  for (const name of ["lan", "other net"]) {
    await virsh("net-destroy", name);
    await virsh("net-undefine", name);
  }
});

const create = (input: object, to = server) => to.post("/libvirt/template/create", input);
const deploy = (input: object, to = server) => to.post("/libvirt/template/deploy", input);
const list = async () => expectSuccess(await server.get("/libvirt/template/list"));
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();

describe("a template of any machine", () => {
  beforeAll(async () => {
    await machine("base", {
      disks: [await image("base.qcow2")],
      network: "lan",
      metadata: xml`<metadata><x:y xmlns:x="urn:x:1">kept</x:y></metadata>`,
    });
  });
  afterAll(wipe);

  test("is marked and listed, and its source is as it was", async () => {
    const before = await everything();
    const input = {
      domain: "base",
      name: "golden",
      description: `<"it's">\né`,
      metadata: { "team <a>": "we & 'us'", os: "" },
    };
    const data = expectSuccess(await create(input), 201);
    const mark = {
      source: "base",
      sealed: false,
      description: `<"it's">\né`,
      metadata: { "team <a>": "we & 'us'", os: "" },
    };
    expect(data).toMatchObject({
      name: "golden",
      disks: [{ target: "vda", path: at("golden.qcow2") }],
      ...mark,
    });
    expect(await everything()).toMatchObject({
      domains: before.domains,
      files: before.files,
      notes: [],
    });
    expect(textOf(await parsed("golden"), "metadata", "x:y")).toBe("kept");
    expect(await same(at("golden.qcow2"), at("base.qcow2"))).toBe(true);

    await machine("my Template 7");
    await machine("runs");
    await virsh("start", "my Template 7");
    await virsh("start", "runs");
    const { templates, total } = await list();
    expect(total).toBe(3);
    const why = Object.fromEntries(
      templates.map((one: { name: string; why: string[] }) => [one.name, one.why]),
    );
    expect(why).toEqual({
      base: ["shut off"],
      golden: ["marked", "shut off"],
      "my Template 7": ["name"],
    });
    const golden = templates.find(({ name }: { name: string }) => name === "golden");
    expect(golden.template).toEqual({ ...mark, created: data.created });
    for (const name of ["my Template 7", "runs"]) await virsh("destroy", name);
  });

  test("deploy: memory, vcpus, network, started with the host; the clone is no template", async () => {
    const input = {
      template: "golden",
      name: "web",
      memory: 48,
      vcpus: 3,
      network: "other net",
      autostart: true,
    };
    const answer = await deploy(input);
    const data = expectSuccess(answer, 201);
    expect(data).toMatchObject({ name: "web", started: true, disks: [{ path: at("web.qcow2") }] });
    const domain = await parsed("web");
    expect(textOf(domain, "memory")).toBe(`${48 * 1024}`);
    expect(textOf(domain, "currentMemory")).toBe(`${48 * 1024}`);
    expect(textOf(domain, "vcpu")).toBe("3");
    expect((await nics("web", "--inactive"))[0]).toEqual({
      mac: data.macs[0],
      network: "other net",
      model: "virtio",
    });
    expect(await state("web")).toBe("running");
    expect(await virsh("dominfo", "web")).toMatch(/Autostart:\s+enable/);
    expect(children(domain, "metadata", "hypersdk:template")).toEqual([]);
    expect(textOf(domain, "metadata", "x:y")).toBe("kept");
    // an empty customize needs no program
    const bare = programs("/run/bin-guestfs", { "virt-customize": "exit 1" });
    const other = await start(bare);
    const plain = expectSuccess(
      await deploy({ template: "golden", name: "plain", linked: true, customize: {} }, other),
      201,
    );
    await other.stop();
    expect(plain.started).toBe(false);
    expect((await imageInfo(at("plain.qcow2")))["backing-filename"]).toBe(at("golden.qcow2"));
    expect(attribute(await parsed("plain"), "network", "devices", "interface", "source")).toBe(
      "lan",
    );
    expect(textOf(await parsed("plain"), "vcpu")).toBe("1");
  });

  test.each([
    [{ memory: 0 }, /^memory: /],
    [{ vcpus: 1.5 }, /^vcpus: /],
    [{ customize: { hostnme: "x" } }, /unknown key "hostnme"/],
    [{ customize: { hostname: "a\nrun-command x" } }, /^customize\.hostname: must be a host name/],
    [{ network: "-x" }, /^network: /],
    [{ size: 1 }, /unknown key "size"/],
  ])("deploy with %j is refused", async (change, text) => {
    expectError(
      await deploy({ template: "golden", name: "n", ...change }),
      400,
      "invalid_input",
      text,
    );
    expect(await names()).not.toContain("n");
  });
});

describe("a real Debian", () => {
  const disk = at("debian.qcow2");
  let before: string;
  const cat = (path: string, file: string) => look(path, `cat ${file}`);
  const hasKeys = async (path: string) =>
    /ssh_host_\w+_key/.test(await look(path, "ls -p /etc/ssh"));

  /** What its guest agent runs. */
  async function inside(name: string, script: string) {
    const agent = async (command: object) =>
      JSON.parse(await virsh("qemu-agent-command", "--domain", name, JSON.stringify(command)))
        .return;
    const argv = { path: "/bin/sh", arg: ["-c", script], "capture-output": true };
    const { pid } = await agent({ execute: "guest-exec", arguments: argv });
    for (;;) {
      const done = await agent({ execute: "guest-exec-status", arguments: { pid } });
      if (done.exited)
        return Buffer.from(done["out-data"] ?? "", "base64")
          .toString()
          .trim();
      await sleep(100);
    }
  }
  const answers = (name: string) =>
    until(
      `the guest agent of ${name} answers`,
      () =>
        virsh("qemu-agent-command", "--domain", name, '{"execute":"guest-ping"}').then(
          () => true,
          () => false,
        ),
      150,
    );
  /** What the network's DHCP server gave it. */
  async function address(name: string) {
    const [mac] = (await nics(name)).map((nic) => nic.mac);
    const leases = (await virsh("net-dhcp-leases", "lan")).split("\n");
    return leases.find((row) => row.includes(`${mac}`))?.match(/10\.77\.0\.\d+/)?.[0] ?? "";
  }

  beforeAll(async () => {
    copyFileSync(debianGuest().disk, disk);
    await virsh("pool-refresh", "default");
    const channel = xml`<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>
      <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>`;
    await machine("debian", {
      disks: [disk],
      network: "lan",
      os: debianOs(),
      devices: channel,
      console: "/run/debian.log",
    });
    before = sha256(disk);
  });
  afterAll(wipe);

  test("sealed: no host keys, no machine-id, and the source untouched", {
    timeout: slow(300_000),
  }, async () => {
    expect(await hasKeys(disk)).toBe(true);
    const data = expectSuccess(
      await create({ domain: "debian", name: "debian-template", seal: true }),
      201,
    );
    expect(data).toMatchObject({ sealed: true, disks: [{ path: at("debian-template.qcow2") }] });
    expect(sha256(disk)).toBe(before);
    expect(await hasKeys(at("debian-template.qcow2"))).toBe(false);
    expect(await cat(at("debian-template.qcow2"), "/etc/machine-id")).toBe("");
    expect((await everything()).notes).toEqual([]);
  });

  const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKxoD9Tqx8JmXKQ2l4d2 me@here's";
  test("deployed twice: customised, both boot, and they are two", {
    timeout: slow(400_000),
  }, async () => {
    const sealed = sha256(at("debian-template.qcow2"));
    const input = { template: "debian-template", memory: 256, linked: true };
    const customize = {
      hostname: "web-1.example.org",
      ssh_authorized_keys: [KEY],
      timezone: "Europe/Berlin",
      run_commands: ["echo 'a; b' >/root/ran"],
    };
    expectSuccess(await deploy({ ...input, name: "one", customize }), 201);
    const [path = ""] = await diskPaths("one");
    expect((await cat(path, "/etc/hostname")).trim()).toBe("web-1.example.org");
    expect((await cat(path, "/root/.ssh/authorized_keys")).trim()).toBe(KEY);
    expect(await cat(path, "/root/ran")).toBe("a; b\n");

    expectSuccess(await server.post("/libvirt/domain/start", { name: "one" }));
    // one on an overlay, the other on a copy
    const two = { ...input, linked: false, name: "two", autostart: true };
    const { uuid, macs } = expectSuccess(await deploy(two), 201);
    await Promise.all([answers("one"), answers("two")]);
    const both = (script: string) =>
      Promise.all(["one", "two"].map((name) => inside(name, script)));
    const ids = await both("cat /etc/machine-id");
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(ids).size).toBe(2);
    const found = async () => Promise.all(["one", "two"].map(address));
    await until("both have an address", async () => (await found()).every(Boolean), 60);
    expect(new Set(await found()).size).toBe(2);
    expect(await inside("one", "hostname")).toBe("web-1.example.org");
    expect((await both("cat /sys/class/dmi/id/product_uuid"))[1]).toBe(uuid);
    const hardware = await both("cat /sys/class/net/e*/address");
    expect([hardware[1], hardware[0] !== hardware[1]]).toEqual([macs[0], true]);
    // what one writes, the other has not
    await inside("one", "echo here >/root/mine; sync");
    expect(await inside("two", "cat /root/mine || echo none")).toBe("none");
    expect(sha256(at("debian-template.qcow2"))).toBe(sealed);
    for (const name of ["one", "two"]) await virsh("destroy", name);
  });
});
