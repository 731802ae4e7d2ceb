/** The server itself on a real libvirtd: its own endpoints, three ways to call a function, and its end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { FUNCTIONS } from "../../../runtime/function/load.ts";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { guarded } from "../../fixtures/access.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  alive,
  clean,
  defineNetwork,
  expectError,
  expectSuccess,
  freeze,
  processes,
  sessions,
  thaw,
  URI,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import { startServer, type TestServer } from "../../server.ts";

const { test, server } = labTest({ tidy: clean });

const local = { host: "local", uri: URI };
const libvirt = async () => (await virsh("version", "--daemon")).match(/daemon: (\S+)/)?.[1];

describe("the server's own endpoints", () => {
  test("GET /health asks no hypervisor", async () => {
    freeze();
    try {
      const { uptime_seconds } = expectSuccess(await server.get("/health"));
      expect(uptime_seconds).toBeGreaterThanOrEqual(0);
    } finally {
      thaw();
    }
  });

  test("GET /status, with libvirtd up, down, and up again", async () => {
    const { hosts, version } = expectSuccess(await server.get("/status"));
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
    const up = { ...local, leftovers: [], reachable: true, libvirt: await libvirt(), error: null };
    expect(hosts).toEqual([{ ...up, hypervisor: expect.stringMatching(/^QEMU \d/) }]);

    await stopLibvirtd();
    try {
      const down = { ...local, leftovers: [], reachable: false, libvirt: null, hypervisor: null };
      const why = expect.stringMatching(
        /connect socket to '.*': (Connection refused|No such file)/,
      );
      const answer = await server.get("/status");
      expect(expectSuccess(answer).hosts).toEqual([{ ...down, error: why }]);
      expect(answer.body.message).toBe("0 of 1 hypervisors reachable");
    } finally {
      await startLibvirtd();
    }
    expect(expectSuccess(await server.get("/status")).hosts).toMatchObject([up]);
  });

  test("GET /capabilities", async () => {
    const { functions, hypervisor } = expectSuccess(await server.get("/capabilities"));
    expect(functions).toContainEqual({
      path: "/libvirt/networks",
      method: "GET",
      summary: "List networks",
      loaded: true,
    });
    expect(functions.filter(({ loaded }: { loaded: boolean }) => !loaded)).toEqual([]);
    expect(hypervisor).toMatchObject({ ...local, reachable: true, libvirt: await libvirt() });
    expect(hypervisor.tools).toMatchObject({ virsh: true, "qemu-img": true });
  });

  test("a hypervisor that is not configured", async () => {
    const text = /unknown hypervisor "kvm9"; configured: local/;
    for (const path of ["/libvirt/networks", "/capabilities"]) {
      expectError(await server.get(`${path}?host=kvm9`), 400, "invalid_input", text);
      const headers = { "X-Hypervisor": "kvm9" };
      expectError(await server.get(path, { headers }), 400, "invalid_input", text);
    }
    expectSuccess(await server.get("/libvirt/networks?host=local"));
    for (const alias of ["", "__proto__", "constructor"]) {
      const answer = await server.get(`/libvirt/networks?host=${alias}`);
      expectError(answer, 400, "invalid_input", /unknown hypervisor/);
    }
  });

  test("it listens on loopback only", async () => {
    await defineNetwork("lan", xml`<ip address="192.168.77.1" prefix="24"/>`);
    await virsh("net-start", "lan");
    const from = (address: string, { url }: TestServer) =>
      fetch(`http://${address}:${new URL(url).port}/health`);
    await expect(from("192.168.77.1", server)).rejects.toThrow();
    await expect(from("[::1]", server)).rejects.toThrow();
  });

  test("told otherwise, it listens elsewhere for those with a token, behind the proxies that it knows", async () => {
    await expect(startServer({ HOST: "0.0.0.0" })).rejects.toThrow("a server on 0.0.0.0 needs");
    await defineNetwork("lan", xml`<ip address="192.168.77.1" prefix="24"/>`);
    await virsh("net-start", "lan");
    for (const [proxy, status] of [
      ["192.168.77.0/24", 200],
      ["192.168.78.0/24", 403],
    ] as const) {
      const access = guarded(`access.proxies = ["${proxy}"]`);
      const headers = { "X-API-Key": await access.token("ci", { role: "read" }) };
      const open = await startServer({ ...access.env, HOST: "0.0.0.0" });
      try {
        const health = `http://192.168.77.1:${new URL(open.url).port}/health`;
        expect((await fetch(health, { headers })).status).toBe(status);
        expect((await fetch(health)).status).toBe(status === 200 ? 401 : 403);
      } finally {
        await open.stop();
        access.remove();
      }
    }
  });
});

describe("three ways to call a function", () => {
  const file = join(FUNCTIONS, "libvirt/networks.ts");

  test("alone, mounted and from a script: the same data", { timeout: slow(30_000) }, async () => {
    await defineNetwork("on");
    await virsh("net-start", "on");
    await defineNetwork("it's off");
    const mounted = expectSuccess(await server.get("/libvirt/networks"));
    expect(mounted).toMatchObject({ total: 2, networks: [{ name: "it's off" }, { name: "on" }] });

    const alone = await startServer({}, [file]);
    try {
      const { port } = new URL(alone.url);
      const url = `http://127.0.0.1:${port}`;
      expect(await (await fetch(url)).json()).toMatchObject({ status: "success", data: mounted });
      expect(await (await fetch(`${url}/libvirt/networks`)).json()).toMatchObject({
        data: mounted,
      });
      await expect(fetch(`http://[::1]:${port}/`)).rejects.toThrow(); // loopback, as it says
    } finally {
      await alone.stop();
    }
    await until("its virsh ends with it", () => sessions(alone).length === 0);

    const script = `import networks from ${JSON.stringify(file)};
console.log(JSON.stringify(await networks({})));`;
    const { code, stdout, ms } = await runScript(script);
    expect(JSON.parse(stdout)).toEqual(mounted);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(slow(3000));
  });

  test("a script that does not catch an error ends with it", async () => {
    const script = `import network from ${JSON.stringify(join(FUNCTIONS, "libvirt/network.ts"))};
await network({ name: "nowhere" }).catch(({ code, status }) => console.log(code, status));
await network({ name: "nowhere" });`;
    const { code, stdout, ms } = await runScript(script);
    expect(stdout).toBe("not_found 404\n");
    expect(code).toBe(1);
    expect(ms).toBeLessThan(slow(3000));
  });

  /** From a folder that has nothing of ours; no virsh may outlive the script. */
  async function runScript(text: string) {
    const folder = await mkdtemp(join(tmpdir(), "script-"));
    const before = processes("virsh");
    try {
      await writeFile(join(folder, "script.ts"), text);
      const started = performance.now();
      const child = spawn(process.execPath, ["script.ts"], {
        cwd: folder,
        stdio: ["ignore", "pipe", "ignore"],
      });
      let stdout = "";
      child.stdout.on("data", (data) => {
        stdout += data;
      });
      const [code] = await once(child, "close");
      const ms = performance.now() - started;
      await until(
        "no virsh outlives the script",
        () => processes("virsh").every((pid) => before.includes(pid)),
        1,
      );
      return { code, stdout, ms };
    } finally {
      await rm(folder, { recursive: true });
    }
  }
});

describe("the end", () => {
  /** Every virsh that is not of the server all tests share. */
  const strays = () => {
    const shared = sessions(server);
    return processes("virsh").filter((pid) => !shared.includes(pid));
  };

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} between calls: no virsh is left`, async () => {
      const other = await startServer();
      await other.get("/libvirt/networks");
      expect(sessions(other).length).toBeGreaterThan(0);
      process.kill(other.pid, signal);
      await until("the server ends", () => !alive(other.pid));
      await until("the last virsh dies", () => strays().length === 0, 1);
    });
  }

  test("SIGTERM during a call that hangs: it is told so in its time, and no virsh is left", async () => {
    const access = guarded("limits.shutdown = 0.5");
    const other = await startServer(access.env);
    await other.get("/libvirt/networks");
    freeze();
    try {
      const hanging = other.get("/libvirt/networks");
      await new Promise((resolve) => setTimeout(resolve, slow(1500))); // A busy server takes a while to read the request.
      expect(sessions(other).length).toBeGreaterThan(0);
      await other.stop();
      await until("the last virsh dies", () => strays().length === 0, 1);
      expectError(await hanging, 504, "cancelled", /./);
    } finally {
      thaw();
      access.remove();
    }
  });

  test("kill -9: every virsh ends by itself", async () => {
    const other = await startServer();
    await other.get("/libvirt/networks");
    const before = sessions(other);
    process.kill(other.pid, "SIGKILL");
    await until("its virsh end", () => !processes("virsh").some((pid) => before.includes(pid)), 3);
  });
});
