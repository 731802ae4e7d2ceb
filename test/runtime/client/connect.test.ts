import { afterAll, expect, test } from "vitest";
import network from "../../../functions/libvirt/network.ts";
import networks from "../../../functions/libvirt/networks.ts";
import { connect, HyperError } from "../../../runtime/client/connect.ts";
import { closeHypervisors } from "../../../runtime/hypervisor/registry.ts";

process.env.LIBVIRT_DEFAULT_URI = "test:///default"; // needs no daemon
afterAll(() => closeHypervisors());

test("it calls endpoints, and tells imported functions where to work", async () => {
  const local = connect();
  expect(local.host).toBe("local");
  const listed = await local("GET /libvirt/networks");
  expect(listed.networks).toMatchObject([{ name: "default", active: true }]);
  expect(await networks({}, local)).toEqual(listed);
  expect(await local("GET /libvirt/network", { name: "default" })).toEqual(
    await network({ name: "default" }, { host: "local" }),
  );
});

test("a URI that is not configured gets a name of its own", async () => {
  const sandbox = connect({ host: "sandbox", uri: "test:///default" });
  await sandbox("POST /libvirt/network/create", { name: "only-here" });
  const names = async (host: string) =>
    (await networks({}, { host })).networks.map(({ name }) => name);
  expect(await names("sandbox")).toEqual(["default", "only-here"]);
  expect(await names("local")).toEqual(["default"]);
  expect(connect({ host: "sandbox" }).host).toBe("sandbox");
  expect(connect({ uri: "test:///default" }).host).toBe("test:///default");
  expect(() => connect({ host: "local", uri: "qemu:///session" })).toThrow(
    "host: local is already test:///default",
  );
});

test("mistakes", async () => {
  expect(() => connect({ host: "kvm9" })).toThrow(HyperError);
  expect(() => connect({ host: "kvm9" })).toThrow(/unknown hypervisor "kvm9"; configured: local/);
  expect(() => connect({ uri: "kvm9" })).toThrow(/must be a libvirt URI/);
  for (const endpoint of ["GET /nowhere", "GET /../runtime/config", "nonsense"]) {
    const call = connect()(endpoint as "GET /health");
    await expect(call).rejects.toMatchObject({ code: "not_found" });
  }
  const wrong = connect()("GET /libvirt/network", { nme: "x" } as never);
  await expect(wrong).rejects.toMatchObject({ code: "invalid_input", status: 400 });
});

test("close ends its sessions; the next call opens new ones", async () => {
  const one = connect({ host: "closing", uri: "test:///default" });
  await one("POST /libvirt/network/create", { name: "forgotten" });
  await one.close();
  expect((await one("GET /libvirt/networks")).total).toBe(1); // the test driver forgets with its process
  {
    await using other = connect({ host: "closing" });
    await other("GET /libvirt/networks");
  }
});

test("a call that is to be a job is checked as any other before it needs a database", async () => {
  const caught = (call: Promise<unknown>) => call.then(() => undefined).catch((error) => error);
  const local = connect();
  const wrong = local("POST /libvirt/volume/create", { nme: "x" } as never, { wait: false });
  expect(await caught(wrong)).toMatchObject({ code: "invalid_input", status: 400 });
  const nowhere = local("POST /nowhere" as "POST /libvirt/clone", {} as never, { wait: false });
  expect(await caught(nowhere)).toMatchObject({ code: "not_found" });
  const own = connect({ host: "own", uri: "test:///default" });
  const lost = own("POST /libvirt/network/start", { name: "default" }, { wait: false });
  expect(await caught(lost)).toMatchObject({
    code: "invalid_input",
    message: "host: a job needs one of the configuration, where its worker finds it",
  });
});
