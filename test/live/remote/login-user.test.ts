/** A login user of group libvirt who is not root. */
import { execFileSync } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { expectError, expectSuccess, processes } from "../../fixtures/live/virsh.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import { type LoginUser, startLoginUser } from "../../lab/login-user.ts";
import type { Answer } from "../../server.ts";

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

  test("the first call that fails after a restart says why", async () => {
    server = await serveHosts({ kvm1: user.uri() });
    const start = async () =>
      server?.post("/libvirt/network/start?host=kvm1", { name: "nowhere" }) as Promise<Answer>;
    expectError(await start(), 404, "not_found", /nowhere/);
    await stopLibvirtd();
    await startLibvirtd();
    for (let i = 0; i < 3; i++) {
      const answer = await start();
      expectError(answer, 404, "not_found", /nowhere/);
      expect(answer.body.error).not.toMatch(/[Rr]econnected|Disconnected/);
    }
  });
});

describe("a session daemon where the login sets no XDG_RUNTIME_DIR", () => {
  const daemons = () => processes("libvirtd").length;
  /** A network that the user's own virsh makes, in the environment that the login has. */
  const define = (home: string, ...as: string[]) => {
    const file = join("/run", "session.xml");
    writeFileSync(file, "<network><name>of-the-user</name></network>");
    const env = ["env", "-u", "XDG_RUNTIME_DIR", "-u", "XDG_CACHE_HOME", `HOME=${home}`];
    const virsh = ["virsh", "-q", "-c", "qemu:///session", "net-define", file];
    return execFileSync("setpriv", [...as, ...env, ...virsh]);
  };
  const names = async (host: string) => {
    const { networks } = expectSuccess(
      (await server?.get(`/libvirt/networks?host=${host}`)) as Answer,
    );
    return networks.map(({ name }: { name: string }) => name);
  };

  test("over SSH the user's own daemon is found", async () => {
    define(user.home, `--reuid=${user.uid}`, `--regid=${user.gid}`, "--init-groups");
    const before = daemons();
    server = await serveHosts({ kvm1: user.uri("qemu", "/session") });
    expect(await names("kvm1")).toEqual(["of-the-user"]);
    expect(daemons()).toBe(before);
  });

  test("and here", async () => {
    server = await serveHosts({ here: "qemu:///session" }, "", { env: { XDG_RUNTIME_DIR: "" } });
    define(server.home);
    const before = daemons();
    expect(await names("here")).toEqual(["of-the-user"]);
    expect(daemons()).toBe(before);
  });
});

describe("GET /hosts says what the login can do", () => {
  const login = async () => {
    const { hosts } = expectSuccess((await server?.get("/hosts")) as Answer);
    return hosts.find(({ host }: { host: string }) => host === "kvm1");
  };

  test("a user who is not root", async () => {
    server = await serveHosts({ kvm1: user.uri() });
    expect(await login()).toMatchObject({
      state: "up",
      login: {
        ...{ user: user.name, root: false, sudo: false, reads_images: false },
        programs: { "qemu-img": true },
        cannot: [expect.stringMatching(/images and NVRAM that belong to root/)],
      },
      login_error: null,
    });
  });

  test("root", async () => {
    server = await serveHosts({ kvm1: "qemu:///system" });
    const expected = { user: "root", root: true, reads_images: true, cannot: [] };
    expect(await login()).toMatchObject({ login: expected });
  });

  test("one that cannot be reached", async () => {
    server = await serveHosts({ kvm1: "qemu+ssh://root@127.0.0.1:1/system" });
    expect(await login()).toMatchObject({
      state: "down",
      login: null,
      login_error: expect.stringMatching(/nothing listens/),
    });
  });
});
