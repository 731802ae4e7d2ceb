/** A hypervisor over SSH that is added at run time: its domains, its events, its jobs; and nothing of it is left afterwards. */
import { afterAll, beforeAll, expect } from "vitest";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { machine, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, until, virsh } from "../../fixtures/live/virsh.ts";
import { connections, type Sshd, startSshd } from "../../lab/sshd.ts";

const { test } = labTest({ tidy: wipe });

let server: HostsServer;
let sshd: Sshd;
beforeAll(async () => {
  sshd = await startSshd();
  server = await serveHosts({ local: "test:///default" });
});
afterAll(async () => {
  await server.stop();
  await sshd.stop();
});

test("is tested, added, used, and removed", async () => {
  await machine("far");
  const tried = expectSuccess(await server.post("/hosts/test", { uri: sshd.uri() }));
  expect(tried).toMatchObject({ state: "up", login: { user: expect.any(String) } });
  await until("no connection", () => connections(sshd.pid()).length === 0);

  expectSuccess(await server.post("/hosts/add", { name: "far1", uri: sshd.uri() }), 201);
  const { body } = await server.post("/tags/assign", { domains: ["far1/far"], tags: ["remote"] });
  expect(body, JSON.stringify(body)).toMatchObject({ successful: 1 });
  expect(await virsh("dumpxml", "far")).toContain(":tag>remote<");
  const stream = await fetch(`${server.url}/events?host=far1&kind=domain`);
  const reader = stream.body?.getReader();
  await reader?.read(); // its sessions have begun
  const select = { select: "host:* AND tag:remote", paused: true };
  expect((await server.post("/libvirt/batch/start", select)).body).toMatchObject({
    ...{ successful: 1, selected: { domains: ["far1/far"], unreachable: [] } },
  });
  expect((await virsh("domstate", "far")).trim()).toBe("paused");
  expect(connections(sshd.pid()).length).toBeGreaterThan(0);

  expectSuccess(await server.post("/hosts/remove", { name: "far1" }));
  await until("no connection", () => connections(sshd.pid()).length === 0);
  await reader?.cancel();
  expectError(await server.get("/libvirt/domains?host=far1"), 400, "invalid_input", /unknown/);
  expect((await virsh("domstate", "far")).trim()).toBe("paused");
  expect((await server.get("/vms/list")).body.vms).toMatchObject([{ path: "local/test" }]);
});
