/** The eight endpoints on a real libvirtd: every success and every kind of error, as virsh sees them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect } from "vitest";
import { attribute, children, textOf, xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { TAKES_INTERFACES } from "../../fixtures/live/release.ts";
import {
  clean,
  defineDomain,
  defineNetwork,
  env,
  expectError,
  expectSuccess,
  netInfo,
  networkNames,
  netXml,
  nics,
  storedNics,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const run = promisify(execFile);

const { test, server } = labTest({ tidy: clean });

const create = (input: object) => server.post("/libvirt/network/create", input);

/** What virsh says of a network, in the words of our answer. */
async function seen(name: string) {
  const { UUID, Active, Persistent, Autostart, Bridge } = (await netInfo(name)) ?? {};
  const definition = await netXml(name);
  return {
    name: textOf(definition, "name"),
    uuid: UUID,
    active: Active === "yes",
    persistent: Persistent === "yes",
    autostart: Autostart === "yes",
    bridge: Bridge ?? attribute(definition, "name", "bridge") ?? null,
    forward: attribute(definition, "mode", "forward") ?? "none",
    ips: children(definition, "ip").map((ip) => ({
      family: ip["@family"] ?? "ipv4",
      address: ip["@address"],
      prefix: Number(ip["@prefix"]),
      dhcp: children(ip, "dhcp", "range").map((range) => ({
        start: range["@start"],
        end: range["@end"],
      })),
    })),
  };
}

describe("scenario 1 of the reference, as written", () => {
  const CURL = {
    create: `curl -X POST http://localhost:8080/libvirt/network/create \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "vm-network",
    "bridge": "virbr1",
    "forward": "nat",
    "subnet": "192.168.100.1",
    "ip_start": "192.168.100.10",
    "ip_end": "192.168.100.100"
  }'`,
    start: `curl -X POST http://localhost:8080/libvirt/network/start \\
  -H "Content-Type: application/json" \\
  -d '{"name": "vm-network"}'`,
    attach: `curl -X POST http://localhost:8080/libvirt/interface/attach \\
  -H "Content-Type: application/json" \\
  -d '{
    "vm_name": "my-vm",
    "network": "vm-network",
    "model": "virtio"
  }'`,
    list: "curl http://localhost:8080/libvirt/networks",
  };
  // the reference writes only the first of these for httpie
  const HTTPIE = {
    create: `http POST http://localhost:8080/libvirt/network/create \\
  name=vm-network \\
  bridge=virbr1 \\
  forward=nat \\
  subnet=192.168.100.1 \\
  ip_start=192.168.100.10 \\
  ip_end=192.168.100.100`,
    start: "http POST http://localhost:8080/libvirt/network/start name=vm-network",
    attach: `http POST http://localhost:8080/libvirt/interface/attach \\
  vm_name=my-vm network=vm-network model=virtio`,
    list: "http http://localhost:8080/libvirt/networks",
  };
  // no terminal here: httpie would read a body from its input; and both shall print the status too
  const AS_IN_A_TERMINAL = `curl() { command curl -sS -i "$@"; }
http() { command http --ignore-stdin --print=hb "$@"; }
`;

  async function shell(command: string) {
    const { port } = new URL(server.url);
    const script = AS_IN_A_TERMINAL + command.replace("8080", port);
    const { stdout } = await run("sh", ["-c", script], { env, timeout: slow(20_000) });
    const [head = "", body = ""] = stdout.split(/\r?\n\r?\n/);
    return { status: Number(head.split(" ")[1]), headers: new Headers(), body: JSON.parse(body) };
  }

  for (const [client, commands] of Object.entries({ curl: CURL, httpie: HTTPIE })) {
    for (const state of ["shut off", "running"]) {
      test(`${client}, with my-vm ${state}`, async () => {
        await defineDomain("my-vm");
        if (state === "running") await virsh("start", "my-vm");

        const created = expectSuccess(await shell(commands.create), 201);
        expect(await netInfo("vm-network")).toMatchObject({
          UUID: created.uuid,
          Active: "no",
          Persistent: "yes",
          Autostart: "no",
          Bridge: "virbr1",
        });
        expect(created).toMatchObject(await seen("vm-network"));
        expect(created.ips).toEqual([
          {
            family: "ipv4",
            address: "192.168.100.1",
            prefix: 24,
            dhcp: [{ start: "192.168.100.10", end: "192.168.100.100" }],
          },
        ]);

        const started = expectSuccess(await shell(commands.start));
        expect(started).toEqual({ name: "vm-network", active: true });
        expect(await netInfo("vm-network")).toMatchObject({ Active: "yes" });

        const attached = expectSuccess(await shell(commands.attach));
        expect(attached).toMatchObject({
          vm_name: "my-vm",
          network: "vm-network",
          model: "virtio",
          live: state === "running",
          persistent: true,
        });
        const nic = { mac: attached.mac, network: "vm-network", model: "virtio" };
        expect(await storedNics("my-vm")).toEqual([nic]);
        expect(await nics("my-vm")).toEqual([nic]);

        const { networks, total } = expectSuccess(await shell(commands.list));
        const row = { name: "vm-network", active: true, persistent: true, autostart: false };
        expect(networks).toEqual([row]);
        expect(total).toBe(1);
      });
    }
  }
});

describe("GET /libvirt/networks", () => {
  test("without networks", async () => {
    expect(expectSuccess(await server.get("/libvirt/networks"))).toEqual({
      networks: [],
      total: 0,
    });
  });

  test("active, inactive, transient, with and without autostart", async () => {
    await defineNetwork("off");
    await defineNetwork("on");
    await virsh("net-start", "on");
    await virsh("net-autostart", "off");
    await defineNetwork("transient", xml``, "net-create");
    const { networks, total } = expectSuccess(await server.get("/libvirt/networks"));
    const expected = await Promise.all((await networkNames()).map(seen));
    expect(networks).toEqual(
      expected.map(({ name, active, persistent, autostart }) => ({
        name,
        active,
        persistent,
        autostart,
      })),
    );
    expect(total).toBe(3);
    expect(networks).toMatchObject([
      { name: "off", active: false, autostart: true, persistent: true },
      { name: "on", active: true, autostart: false, persistent: true },
      { name: "transient", active: true, persistent: false },
    ]);
  });
});

describe("GET /libvirt/network", () => {
  const get = (name: string) => server.get(`/libvirt/network?name=${name}`);

  test("what others made: netmask, domain, MTU, forward without a mode, two addresses", async () => {
    await defineNetwork(
      "rich",
      xml`<forward/><bridge name="vbrich"/><mtu size="1400"/><domain name="lab.example"/>
      <ip address="10.9.8.1" netmask="255.255.255.192"><dhcp><range start="10.9.8.2" end="10.9.8.9"/></dhcp></ip>
      <ip family="ipv6" address="fd00:9::1" prefix="64"/>`,
    );
    expect(expectSuccess(await get("rich"))).toMatchObject({
      ...(await seen("rich")),
      forward: "nat",
      mtu: 1400,
      domain: "lab.example",
      ips: [
        {
          family: "ipv4",
          address: "10.9.8.1",
          prefix: 26,
          dhcp: [{ start: "10.9.8.2", end: "10.9.8.9" }],
        },
        { family: "ipv6", address: "fd00:9::1", prefix: 64, dhcp: [] },
      ],
    });
  });

  test.each([
    ["10.40.0.1", 8],
    ["172.20.0.1", 16],
    ["192.168.100.1", 24],
  ])(
    "%s without netmask has its class, /%i, and others can be created",
    async (address, prefix) => {
      await defineNetwork("classful", xml`<bridge name="vbclass"/><ip address="${address}"/>`);
      await virsh("net-start", "classful");
      const { stdout } = await run("ip", ["-o", "-4", "addr", "show", "dev", "vbclass"]);
      expect(stdout).toContain(` ${address}/${prefix} `);
      expect(expectSuccess(await get("classful")).ips).toMatchObject([{ address, prefix }]);
      const { ips } = expectSuccess(await create({ name: "beside", start: true }), 201);
      expect(ips[0].address).toBe(prefix === 24 ? "192.168.101.1" : "192.168.100.1");
    },
  );

  test("a transient one", async () => {
    await defineNetwork("passing", xml``, "net-create");
    const data = expectSuccess(await get("passing"));
    expect(data).toMatchObject(await seen("passing"));
    expect(data).toMatchObject({ active: true, persistent: false });
  });

  test("none of that name", async () => {
    expectError(await get("nowhere"), 404, "not_found", /nowhere/);
  });
});

describe("POST /libvirt/network/create", () => {
  const cases: [string, Record<string, unknown>, object][] = [
    ["nat", { subnet: "10.20.0.1" }, { forward: "nat", active: false, autostart: false }],
    ["route", { forward: "route", subnet: "10.21.0.1/26" }, { ips: [{ prefix: 26 }] }],
    ["open", { forward: "open", subnet: "10.22.0.1" }, { forward: "open" }],
    ["isolated, no address", { forward: "none" }, { forward: "none", ips: [] }],
    [
      "isolated, with DHCP",
      { forward: "none", subnet: "10.23.0.1", ip_start: "10.23.0.2", ip_end: "10.23.0.9" },
      { forward: "none", ips: [{ dhcp: [{ start: "10.23.0.2", end: "10.23.0.9" }] }] },
    ],
    [
      "a bridge of the host",
      { forward: "bridge", bridge: "br-lab" },
      { forward: "bridge", bridge: "br-lab", ips: [] },
    ],
    [
      "IPv6",
      { subnet: "fd00:24::1", ip_start: "fd00:24::10", ip_end: "fd00:24::99" },
      {
        ips: [
          {
            family: "ipv6",
            address: "fd00:24::1",
            prefix: 64,
            dhcp: [{ start: "fd00:24::10", end: "fd00:24::99" }],
          },
        ],
      },
    ],
    [
      "the largest DHCP ranges",
      { forward: "none", subnet: "10.26.0.1/8", ip_start: "10.27.0.0", ip_end: "10.27.255.255" },
      { ips: [{ dhcp: [{ start: "10.27.0.0", end: "10.27.255.255" }] }] },
    ],
    [
      "the largest DHCP ranges of IPv6",
      { forward: "none", subnet: "fd00:26::1", ip_start: "fd00:26::2", ip_end: "fd00:26::ffff" },
      { ips: [{ dhcp: [{ start: "fd00:26::2", end: "fd00:26::ffff" }] }] },
    ],
    ["IPv6 with a prefix", { subnet: "fd00:25::1/80" }, { ips: [{ prefix: 80 }] }],
    ["a bridge's name", { bridge: "vb-named", forward: "none" }, { bridge: "vb-named" }],
    ["autostart alone", { autostart: true, forward: "none" }, { autostart: true, active: false }],
  ];
  for (const [what, input, expected] of cases) {
    for (const start of [false, true]) {
      test(`${what}${start ? ", started" : ""}`, async () => {
        const data = expectSuccess(await create({ name: "made", ...input, start }), 201);
        expect(data).toMatchObject({ ...expected, name: "made", persistent: true, active: start });
        expect(data).toMatchObject(await seen("made"));
      });
    }
  }

  test.each([
    ["nat", "fd00:26::1", /-s fd00:26::\/64 ! -d fd00:26::\/64 .*MASQUERADE/],
    ["nat", "fd00:27:1::1/48", /-s fd00:27:1::\/48 ! -d fd00:27:1::\/48 .*MASQUERADE/],
    ["route", "fd00:28::1", undefined],
  ])("%s of %s: the hypervisor masquerades it: %s", async (forward, subnet, rule) => {
    expectSuccess(await create({ name: "made", forward, subnet, start: true }), 201);
    const { stdout } = await run("ip6tables", ["-t", "nat", "-S"]);
    if (rule) expect(stdout).toMatch(rule);
    else expect(stdout).not.toContain("MASQUERADE");
  });

  test("a name alone: a subnet that no other has, with DHCP, that starts", async () => {
    await defineNetwork("others", xml`<ip address="192.168.96.1" netmask="255.255.248.0"/>`); // to 103
    const first = expectSuccess(await create({ name: "first", start: true }), 201);
    const second = expectSuccess(
      await create({ name: "second", start: true, autostart: true }),
      201,
    );
    expect(first.ips).toEqual([
      {
        family: "ipv4",
        address: "192.168.104.1",
        prefix: 24,
        dhcp: [{ start: "192.168.104.2", end: "192.168.104.254" }],
      },
    ]);
    expect(second).toMatchObject({ active: true, autostart: true, forward: "nat" });
    expect(second.ips[0].address).toBe("192.168.105.1");
    expect(first).toMatchObject(await seen("first"));
    expect(second).toMatchObject(await seen("second"));
  });

  test("the name is taken", async () => {
    await defineNetwork("taken");
    const before = await seen("taken");
    const answer = await create({ name: "taken", forward: "none", start: true });
    expectError(answer, 500, "already_exists", /already exists/);
    expect(await seen("taken")).toEqual(before);
  });

  test("the bridge's name is taken", async () => {
    await defineNetwork("holder", xml`<bridge name="vb-taken"/>`);
    const answer = await create({ name: "late", bridge: "vb-taken", forward: "none" });
    expectError(answer, 500, "already_exists", /vb-taken/);
    expect(await networkNames()).toEqual(["holder"]);
  });

  test("the subnet is in use when it starts: nothing is left", async () => {
    await defineNetwork("holder", xml`<ip address="192.168.150.1" prefix="24"/>`);
    await virsh("net-start", "holder");
    const input = { name: "late", subnet: "192.168.150.1", start: true, autostart: true };
    expectError(await create(input), 500, "in_use", /already in use/);
    expect(await networkNames()).toEqual(["holder"]);
    expectSuccess(await create({ ...input, subnet: "192.168.151.1" }), 201);
  });

  test("the network name of an interface that exists already: nothing is left, and the interface stays", async () => {
    await run("ip", ["link", "add", "taken0", "type", "bridge"]);
    await run("ip", ["link", "add", "port0", "type", "veth", "peer", "name", "port1"]);
    await run("ip", ["link", "set", "port0", "master", "taken0"]);
    for (const bridge of ["lo", "taken0"]) {
      const answer = await create({ name: "late", bridge, forward: "none", start: true });
      expect(answer.status).toBe(500);
      expect(answer.body.error).toMatch(new RegExp(`\\b${bridge}\\b`));
      expect(await networkNames()).toEqual([]);
      if (TAKES_INTERFACES) expectError(answer, 500, "already_exists", /interface of that name/);
      expect((await create({ name: "late", bridge, forward: "none" })).status).toBe(201);
      expect((await server.post("/libvirt/network/start", { name: "late" })).status).toBe(500);
      await virsh("net-undefine", "late");
    }
    const { stdout } = await run("ip", ["-brief", "link", "show"]);
    expect(stdout).toMatch(/^lo .*UP/m);
    expect(stdout).toMatch(/^taken0 /m);
    await run("ip", ["link", "delete", "taken0"]);
    await run("ip", ["link", "delete", "port0"]);
  });

  const wrong: [object, RegExp][] = [
    [{ subnet: "10.0.0.1/8", ip_start: "10.0.0.2", ip_end: "10.9.0.1" }, /^ip_end: .*too large/],
    [{ subnet: "10.0.0.1/8", ip_start: "10.0.0.2", ip_end: "10.1.0.0" }, /^ip_end: .*too large/],
    [{ subnet: "fd00::1", ip_start: "fd00::2", ip_end: "fd00::1:0" }, /^ip_end: .*too large/],
    [{ forward: "nats" }, /^forward: .*nat/],
    [{ forward: "bridge" }, /^bridge: /],
    [{ forward: "bridge", bridge: "br0", subnet: "10.0.0.1" }, /^subnet: /],
    [{ bridge: "far-too-long-name" }, /^bridge: /],
    [{ bridge: "a b" }, /^bridge: /],
    [{ subnet: "10.0.0.300" }, /^subnet: /],
    [{ subnet: "10.0.0.1/33" }, /^subnet: /],
    [{ subnet: "10.0.0.0" }, /^subnet: /],
    [{ subnet: "10.0.0.255" }, /^subnet: /],
    [{ subnet: "fd00::/64" }, /^subnet: /],
    [{ subnet: 10 }, /^subnet: /],
    [{ ip_start: "10.0.0.2", ip_end: "10.0.0.9" }, /^subnet: /],
    [{ subnet: "10.0.0.1", ip_start: "10.0.0.2" }, /^ip_end: /],
    [{ subnet: "10.0.0.1", ip_end: "10.0.0.2" }, /^ip_start: /],
    [{ subnet: "10.0.0.1", ip_start: "10.0.0.9", ip_end: "10.0.0.2" }, /10\.0\.0\.2 comes before/],
    [{ subnet: "10.0.0.1", ip_start: "10.0.1.2", ip_end: "10.0.1.9" }, /10\.0\.1\.2/],
    [{ subnet: "10.0.0.1", ip_start: "10.0.0.2", ip_end: "10.0.0.255" }, /10\.0\.0\.255/],
    [{ subnet: "10.0.0.1", ip_start: "fd00::2", ip_end: "fd00::9" }, /fd00::2/],
    [{ subnet: "10.0.0.1", ip_start: "x", ip_end: "10.0.0.9" }, /^ip_start: /],
    [{ start: "true" }, /^start: /],
    [{ autostart: 1 }, /^autostart: /],
    [{ dhcp: true }, /unknown key "dhcp" \(allowed: name, bridge, forward, subnet/],
  ];
  for (const [input, text] of wrong) {
    test(`400 for ${JSON.stringify(input)}`, async () => {
      expectError(await create({ name: "wrong", ...input }), 400, "invalid_input", text);
      expect(await networkNames()).toEqual([]);
    });
  }
});

describe("POST /libvirt/network/start and stop", () => {
  test("start, start again, stop, stop again", async () => {
    await defineNetwork("lan");
    const start = () => server.post("/libvirt/network/start", { name: "lan" });
    const stop = () => server.post("/libvirt/network/stop", { name: "lan" });
    expect(expectSuccess(await start())).toEqual({ name: "lan", active: true });
    expect(await netInfo("lan")).toMatchObject({ Active: "yes" });
    expectError(await start(), 500, "already_active", /already active/);
    expect(expectSuccess(await stop())).toEqual({ name: "lan", active: false });
    expect(await netInfo("lan")).toMatchObject({ Active: "no", Persistent: "yes" });
    expectError(await stop(), 500, "not_active", /not active/);
    expect(await netInfo("lan")).toMatchObject({ Active: "no" });
  });

  test("start with a subnet in use", async () => {
    await defineNetwork("holder", xml`<ip address="192.168.150.1" prefix="24"/>`);
    await defineNetwork("late", xml`<ip address="192.168.150.1" prefix="24"/>`);
    await virsh("net-start", "holder");
    const answer = await server.post("/libvirt/network/start", { name: "late" });
    expectError(answer, 500, "in_use", /already in use/);
    expect(await netInfo("late")).toMatchObject({ Active: "no" });
  });

  test("stop a transient one: it is gone", async () => {
    await defineNetwork("passing", xml``, "net-create");
    expectSuccess(await server.post("/libvirt/network/stop", { name: "passing" }));
    expect(await networkNames()).toEqual([]);
  });
});

describe("POST /libvirt/network/delete", () => {
  const remove = (name: string) => server.post("/libvirt/network/delete", { name });

  test("inactive", async () => {
    await defineNetwork("lan");
    expect(expectSuccess(await remove("lan"))).toEqual({ name: "lan", stopped: false });
    expect(await networkNames()).toEqual([]);
  });

  test("active: it is stopped first", async () => {
    await defineNetwork("lan", xml`<bridge name="vb-lan"/>`);
    await virsh("net-autostart", "lan");
    await virsh("net-start", "lan");
    expect(expectSuccess(await remove("lan"))).toEqual({ name: "lan", stopped: true });
    expect(await networkNames()).toEqual([]);
    await expect(run("ip", ["link", "show", "vb-lan"])).rejects.toThrow("does not exist");
  });

  test("transient", async () => {
    await defineNetwork("passing", xml``, "net-create");
    expect(expectSuccess(await remove("passing"))).toEqual({ name: "passing", stopped: true });
    expect(await networkNames()).toEqual([]);
  });
});

describe("what every endpoint refuses", () => {
  const GETS: Record<string, string> = {
    "/libvirt/networks": "",
    "/libvirt/network": "name=lan",
  };
  const MAC = "52:54:00:12:34:56";
  const POSTS: Record<string, Record<string, unknown>> = {
    "/libvirt/network/create": { name: "lan" },
    "/libvirt/network/delete": { name: "lan" },
    "/libvirt/network/start": { name: "lan" },
    "/libvirt/network/stop": { name: "lan" },
    "/libvirt/interface/attach": { vm_name: "vm", network: "lan" },
    "/libvirt/interface/detach": { vm_name: "vm", mac: MAC },
  };
  const send = (path: string, body: string, type = "application/json") =>
    server.get(path, { method: "POST", body, headers: { "Content-Type": type } });

  for (const [path, query] of Object.entries(GETS)) {
    test(`GET ${path}`, async () => {
      for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
        const answer = await server.get(`${path}?${query}`, { method });
        expectError(answer, 405, "method_not_allowed", /use GET/);
        expect(answer.headers.get("allow")).toBe("GET, HEAD");
      }
      const { status } = await fetch(`${server.url}${path}?${query}`, { method: "HEAD" });
      expect(status).toBe((await server.get(`${path}?${query}`)).status);
      const unknown = await server.get(`${path}?${query}&colour=red`);
      expectError(unknown, 400, "invalid_input", /unknown key "colour"/);
      const elsewhere = await server.get(`${path}?${query}&host=elsewhere`);
      expectError(elsewhere, 400, "invalid_input", /^host: .*"elsewhere".*local/);
    });
  }

  for (const [path, input] of Object.entries(POSTS)) {
    test(`POST ${path}`, async () => {
      const bad = (body: string, text: RegExp) =>
        send(path, body).then((answer) => expectError(answer, 400, "invalid_input", text));
      for (const key of Object.keys(input)) {
        await bad(JSON.stringify({ ...input, [key]: undefined }), new RegExp(`^${key}: required`));
        for (const value of [7, null, true, ["x"], { x: 1 }]) {
          await bad(JSON.stringify({ ...input, [key]: value }), new RegExp(`^${key}: .*string`));
        }
      }
      await bad(JSON.stringify({ ...input, colour: "red" }), /unknown key "colour" \(allowed: /);
      for (const body of ["", "{", "name=lan", '{"name": "lan",}'])
        await bad(body, /^body: not valid JSON/);
      for (const body of ["[]", "null", '"lan"', "7"]) await bad(body, /object/);

      for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
        const response = await fetch(server.url + path, { method });
        expect(response.status).toBe(405);
        expect(response.headers.get("allow")).toBe("POST");
      }
      expectError(await server.get(path), 405, "method_not_allowed", /use POST/);

      const body = JSON.stringify(input);
      for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
        expectError(
          await send(path, body, type),
          415,
          "unsupported_media_type",
          /application\/json/,
        );
      }
      const large = JSON.stringify({ ...input, name: "x".repeat(1024 * 1024) });
      expectError(await send(path, large), 413, "payload_too_large", /1048576/);
      const elsewhere = await send(`${path}?host=elsewhere`, body);
      expectError(elsewhere, 400, "invalid_input", /^host: .*"elsewhere"/);
      expectError(await send(`${path}?name=lan`, body), 400, "invalid_input", /JSON body/);
      expect(await networkNames()).toEqual([]);
    });
  }

  test("a network or domain that does not exist", async () => {
    for (const verb of ["start", "stop", "delete"]) {
      const answer = await server.post(`/libvirt/network/${verb}`, { name: "lan" });
      expectError(answer, 404, "not_found", /'lan'/);
    }
    const attach = await server.post("/libvirt/interface/attach", {
      vm_name: "vm",
      network: "lan",
    });
    expectError(attach, 404, "not_found", /'(vm|lan)'/);
    const detach = await server.post("/libvirt/interface/detach", { vm_name: "vm", mac: MAC });
    expectError(detach, 404, "not_found", /'vm'/);
  });

  test("a path that does not exist, and one that is no function", async () => {
    for (const path of [
      "/libvirt",
      "/libvirt/nothing",
      "/libvirt/networks/",
      "/libvirt/network/create.ts",
    ]) {
      expectError(await server.get(path), 404, "not_found", /no endpoint/);
    }
  });
});
