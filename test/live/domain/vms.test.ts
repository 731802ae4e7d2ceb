/** The inventory over two hypervisors and one that is away, and what is done to a domain by its path; with virsh. */
import { afterAll, beforeAll, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { at, machine, sh, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, virsh } from "../../fixtures/live/virsh.ts";

const { test } = labTest({ tidy: wipe });

let server: HostsServer;
beforeAll(async () => {
  server = await serveHosts({
    test: "test:///default",
    away: "qemu+ssh://root@127.0.0.1:1/system",
  });
});
afterAll(() => server.stop());

const list = async (query: Record<string, string> = {}) => {
  const answer = await server.get(`/vms/list?${new URLSearchParams(query)}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
};
const paths = async (q: string) =>
  (await list({ q })).vms.map(({ path }: { path: string }) => path);
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();

test("list: what virsh says of each domain, now and after a change", async () => {
  const uuid = await machine("a b");
  await machine("off");
  await virsh("start", "a b", "--paused");
  const { vms, total, unreachable } = await list();
  expect([total, unreachable]).toMatchObject([3, [{ host: "away", code: "unreachable" }]]);
  expect(vms).toMatchObject([
    { path: "local/a b", uuid, power_state: "paused", memory_mb: 32, num_cpu: 1, tags: [] },
    { path: "local/off", power_state: "shut off", addresses: [] },
    { path: "test/test", power_state: "running", num_cpu: 2, memory_mb: 2048 },
  ]);
  expect(await paths("host:local state:paused")).toEqual(["local/a b"]);
  await virsh("setmaxmem", "off", "64M", "--config");
  await virsh("setmem", "off", "64M", "--config");
  await virsh(
    "metadata",
    "off",
    "--uri",
    "urn:hypersdk:tags:1",
    "--key",
    "x",
    "--config",
    "--set",
    "<tags><tag>by-hand</tag></tags>",
  );
  expect(await paths("memory:64MiB")).toEqual(["local/off"]);
  expect(await paths("tag:by-hand AND NOT state:running")).toEqual(["local/off"]);
  await virsh("undefine", "off");
  expect(await paths("tag:by-hand")).toEqual([]);
  expect((await list({ host: "test" })).total).toBe(1);
  expectError(
    await server.get("/vms/list?q=memory:%3E4"),
    400,
    "invalid_input",
    /^q: at character 1/,
  );
});

test("info, shutdown, poweroff: by the path", async () => {
  await machine("off");
  await machine("vm", { console: "/tmp/vm-console.log" });
  await virsh("start", "vm");
  const { body } = await server.get("/vms/info?vm_path=local/vm");
  expect(body, JSON.stringify(body)).toMatchObject({
    vm_info: {
      path: "local/vm",
      power_state: "running",
      num_cpu: 1,
      tags: [],
      agent: expect.stringContaining("no channel"),
    },
  });
  const off = await server.post("/vms/poweroff", { vm_path: "local/vm" });
  expect(off.body).toMatchObject({ success: true, path: "local/vm" });
  expect(await state("vm")).toBe("shut off");
  expectError(await server.post("/vms/poweroff", { vm_path: "vm" }), 500, "not_active", /./);
  expectError(await server.get("/vms/info?vm_path=local/none"), 404, "not_found", /none/);

  const asked = await server.post("/vms/shutdown", { vm_path: "test/test", timeout: 20 });
  expect(asked.body, JSON.stringify(asked.body)).toMatchObject({
    success: true,
    path: "test/test",
  });
  expect((await list({ host: "test" })).vms[0].power_state).toBe("shut off");
  expectSuccess(await server.post("/libvirt/domain/start?host=test", { name: "test" }));
  await virsh("start", "off"); // nothing boots on it
  const deaf = await server.post("/vms/shutdown", { vm_path: "local/off", timeout: 1 });
  expectError(deaf, 504, "timed_out", /still running after 1/);
});

test("remove-cdrom: the media of all drives, then the drives", async () => {
  await sh("for name in one two; do head -c 1M /dev/zero >$name.iso; done");
  const drive = (file: string, target: string) =>
    xml`<disk type="file" device="cdrom"><driver name="qemu" type="raw"/><source file="${at(file)}"/><target dev="${target}" bus="ide"/><readonly/></disk>`;
  await machine("vm", { disks: [drive("one.iso", "hda"), drive("two.iso", "hdb")] });
  const post = (more = {}) => server.post("/vms/remove-cdrom", { vm_path: "local/vm", ...more });
  expect((await post()).body).toMatchObject({
    success: true,
    ejected: [
      { target: "hda", path: at("one.iso") },
      { target: "hdb", path: at("two.iso") },
    ],
  });
  expect(await virsh("dumpxml", "vm")).not.toContain(".iso");
  expect((await post()).body).toMatchObject({ success: true, ejected: [] });
  expect((await post({ drive: true })).body).toMatchObject({ removed: ["hda", "hdb"] });
  expect(await virsh("dumpxml", "vm")).not.toContain("cdrom");
  expectError(await post({ drive: true }), 404, "not_found", /no CD-ROM drive/);
});
