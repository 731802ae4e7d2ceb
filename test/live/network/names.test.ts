/** Names that mean something to a shell, to virsh, to XML or to a URL, through every endpoint. */
import { afterAll, afterEach, describe, expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  clean,
  defineDomain,
  expectError,
  expectSuccess,
  netInfo,
  networkNames,
  nics,
  storedNics,
  virsh,
} from "../../fixtures/live/virsh.ts";

const { test, server } = labTest();

const post = async (path: string, input: object, status = 200) =>
  expectSuccess(await server.post(path, input), status);

const WORK = [
  "web server",
  "three   spaces   in a row",
  " spaces around ",
  "it's",
  'say "hi"',
  "$HOME $(id) `id`",
  "a;b",
  "back\\slash \\n \\",
  "ünï",
  "漢字 🙂",
  "#comment # not",
  "a --all --x",
  "a&b <c> %20 + = ? ' \" &amp;",
  "* ? [a] {b} ~ ! | ^ @",
  "yes", // what net-list's table also says
  "x active yes yes",
  "0",
  "007",
  "60",
  "é".repeat(123), // 246 bytes: libvirt appends ".xml.new" to make a file of it
];

describe.concurrent("names that libvirt allows", () => {
  afterAll(clean);

  for (const name of WORK) {
    test(JSON.stringify(name), async () => {
      const uuid = await defineDomain(name);

      const made = await post("/libvirt/network/create", { name, forward: "none" }, 201);
      expect(made.name).toBe(name);
      expect(await networkNames()).toContain(name);
      expect(await netInfo(name)).toMatchObject({ UUID: made.uuid, Active: "no" });

      const got = await server.get(`/libvirt/network?name=${encodeURIComponent(name)}`);
      expect(expectSuccess(got)).toEqual(made);
      expect((await post("/libvirt/network/start", { name })).name).toBe(name);
      expect(await netInfo(name)).toMatchObject({ Active: "yes" });
      const row = { name, active: true, persistent: true, autostart: false };
      const { networks } = expectSuccess(await server.get("/libvirt/networks"));
      expect(networks).toContainEqual(row);

      const nic = await post("/libvirt/interface/attach", { vm_name: name, network: name });
      expect(nic).toMatchObject({ vm_name: name, network: name, live: false, persistent: true });
      expect(await storedNics(uuid)).toEqual([{ mac: nic.mac, network: name, model: "virtio" }]);
      await post("/libvirt/interface/detach", { vm_name: name, mac: nic.mac });
      expect(await storedNics(uuid)).toEqual([]);

      await post("/libvirt/network/stop", { name });
      expect(await netInfo(name)).toMatchObject({ Active: "no" });
      await post("/libvirt/network/delete", { name });
      expect(await networkNames()).not.toContain(name);
    });
  }
});

describe("domains that run", () => {
  afterEach(clean);

  test("with all of them in the name", async () => {
    const name = "a b  'c' \"d\" $e;f\\g ü漢#h --all";
    const uuid = await defineDomain(name);
    await virsh("start", "--domain", uuid);
    await post("/libvirt/network/create", { name, forward: "none", start: true }, 201);
    const { mac } = await post("/libvirt/interface/attach", { vm_name: name, network: name });
    const nic = { mac, network: name, model: "virtio" };
    expect(await nics(uuid)).toEqual([nic]);
    expect(await storedNics(uuid)).toEqual([nic]);
  });

  test("a number that is another one's ID means the domain of that name", async () => {
    const other = await defineDomain("other", { verb: "create" });
    const id = (await virsh("domid", "--domain", other)).trim();
    const attach = () => server.post("/libvirt/interface/attach", { vm_name: id, network: "lan" });
    await post("/libvirt/network/create", { name: "lan", forward: "none", start: true }, 201);
    expectError(await attach(), 404, "not_found", new RegExp(`'${id}'`));

    const named = await defineDomain(id);
    const { mac } = expectSuccess(await attach());
    expect(await storedNics(named)).toMatchObject([{ mac }]);
    await post("/libvirt/interface/detach", { vm_name: id, mac });
    expect(await storedNics(named)).toEqual([]);
    expect(await nics(other)).toEqual([]);
  });
});

describe("names that are refused, and why", () => {
  const REFUSED: [string, RegExp][] = [
    ["", /empty/],
    ["a\nb", /control characters/],
    ["a\n", /control characters/],
    ["a\tb", /control characters/],
    ["a\x01b", /control characters/],
    ["a\x16b", /control characters/],
    ["a\x7fb", /control characters/],
    ["a\0b", /control characters/],
    ["a\u0085b", /control characters/],
    ["a/b", /"\/"/],
    ["../../etc/passwd", /"\/"/],
    ["-", /begin with "-"/],
    ["--all", /begin with "-"/],
    ["x".repeat(256), /255 bytes/],
    ["ü".repeat(128), /255 bytes/],
  ];
  const MAC = "52:54:00:12:34:56";
  const FIELDS: [string, string, Record<string, string>][] = [
    ["/libvirt/network/create", "name", {}],
    ["/libvirt/network/delete", "name", {}],
    ["/libvirt/network/start", "name", {}],
    ["/libvirt/network/stop", "name", {}],
    ["/libvirt/interface/attach", "vm_name", { network: "lan" }],
    ["/libvirt/interface/attach", "network", { vm_name: "vm" }],
    ["/libvirt/interface/detach", "vm_name", { mac: MAC }],
  ];

  for (const [name, text] of REFUSED) {
    test(JSON.stringify(name.slice(0, 20)), async () => {
      const refused = (field: string) => new RegExp(`^${field}: .*${text.source}`);
      const got = await server.get(`/libvirt/network?name=${encodeURIComponent(name)}`);
      expectError(got, 400, "invalid_input", refused("name"));
      for (const [path, field, rest] of FIELDS) {
        const answer = await server.post(path, { ...rest, [field]: name });
        expectError(answer, 400, "invalid_input", refused(field));
        expect(answer.body.issues).toMatchObject([{ path: field }]);
      }
    });
  }

  test("MAC addresses", async () => {
    for (const mac of [
      "",
      "52:54:00:12:34",
      "52-54-00-12-34-56",
      `${MAC}\n`,
      "52:54:00:12:34:5g",
    ]) {
      const answer = await server.post("/libvirt/interface/detach", { vm_name: "vm", mac });
      expectError(answer, 400, "invalid_input", /^mac: must be a MAC address/);
    }
  });

  test("models", async () => {
    for (const model of ["", "Virtio", "virtio,x=y", "e1000 "]) {
      const input = { vm_name: "vm", network: "lan", model };
      const answer = await server.post("/libvirt/interface/attach", input);
      expectError(answer, 400, "invalid_input", /^model: .*virtio/);
    }
  });
});
