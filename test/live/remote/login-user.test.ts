/** A login user of group libvirt who is not root. */
import { statSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { expectSuccess } from "../../fixtures/live/virsh.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import { type LoginUser, startLoginUser } from "../../lab/login-user.ts";

let user: LoginUser;
beforeAll(async () => {
  user = await startLoginUser();
});
afterAll(() => user.remove());

let server: HostsServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

describe("the lab's login user", () => {
  test("is in group libvirt, and may neither read an image nor look where libvirt keeps NVRAM", async () => {
    expect(await user.run("id", "-Gn")).toMatch(/\blibvirt\b/);
    expect(await user.run("virsh", "-c", "qemu:///system", "uri")).toMatch(/qemu:\/\/\/system/);
    await user.run("virsh", "-q", "-c", "qemu:///system", "vol-create-as", "default", "mine", "1M");
    const image = "/var/lib/libvirt/images/mine";
    expect(statSync(image)).toMatchObject({ uid: 0, mode: 0o100600 });
    await expect(user.run("cat", image)).rejects.toThrow(/Permission denied/);
    await expect(user.run("ls", "/var/lib/libvirt/qemu")).rejects.toThrow(/Permission denied/);
    await user.run("virsh", "-q", "-c", "qemu:///system", "vol-delete", "mine", "default");
  });

  test("logs in, also after a restart of libvirtd", async () => {
    server = await serveHosts({ kvm1: user.uri() });
    expectSuccess(await server.get("/libvirt/networks?host=kvm1"));
    await stopLibvirtd();
    await startLibvirtd();
    expect(statSync("/run/libvirt/libvirt-sock").mode & 0o777).toBe(0o770);
    expectSuccess(await server.get("/libvirt/networks?host=kvm1"));
  });
});
