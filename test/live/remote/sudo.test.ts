/** `[hosts.X] sudo = true`: programs run as root through `sudo -n`, virsh as the login itself. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Hypervisor } from "../../../runtime/hypervisor/hypervisor.ts";
import { sshTransport } from "../../../runtime/hypervisor/ssh/transport.ts";
import { serveHosts } from "../../fixtures/live/hosts.ts";
import { expectError, expectSuccess, processes, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { type LoginUser, type LoginUserOptions, startLoginUser } from "../../lab/login-user.ts";

const SSH = { timeout: 20, keepalive: 15, idle: 300, logins: 4 };
const VIRSH = { timeout: 20, sessions: 2, queue: 100, idle: 60, sudo: true };
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function login(options: LoginUserOptions): Promise<[LoginUser, Hypervisor]> {
  const user = await startLoginUser(options);
  const kvm1 = new Hypervisor("kvm1", user.uri(), VIRSH, sshTransport("kvm1", user.uri(), SSH));
  ends.push(user.remove, () => kvm1.close());
  return [user, kvm1];
}
const LIMIT = { timeout: 20_000 };
/** How many processes sleep for so long. */
const sleeping = (seconds: string) =>
  processes("sleep").filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`).includes(seconds);
    } catch {
      return false; // it has ended
    }
  }).length;
const SECRET = "/var/lib/libvirt/qemu/secret";

describe.each([
  ["", []],
  [", in a terminal of its own", ["Defaults use_pty"]],
  [", under a login shell that is csh", [], "/bin/tcsh"],
])("a login that sudo serves without a password%s", (_what, sudoers, shell?: string) => {
  const options = { sudo: "NOPASSWD: ALL", sudoers, ...(shell && { shell }) };

  test("programs are root's, with their words, input and exit code; virsh is its own", async () => {
    const [user, kvm1] = await login(options);
    expect((await kvm1.exec(["id", "-un"], LIMIT)).stdout).toBe("root\n");
    const words = ["a b", "$HOME", "`id`", "-n", "two\nlines!"];
    const printed = await kvm1.exec(["printf", "%s|", ...words], LIMIT);
    expect(printed).toMatchObject({ stdout: `${words.join("|")}|`, exitCode: 0 });
    const script = 'cat; echo "$LC_ALL" >&2; exit 7';
    const result = await kvm1.exec(["sh", "-c", script], { ...LIMIT, input: "given\n" });
    expect(result).toEqual({ stdout: "given\n", stderr: "C\n", exitCode: 7 });
    expect(await kvm1.oneShot(["uri"], LIMIT)).toMatch(/qemu:\/\/\/system/);
    const session = processes("virsh").map((pid) => readFileSync(`/proc/${pid}/status`, "utf8"));
    for (const status of session)
      expect(status).toMatch(new RegExp(`^Uid:\\s+${user.uid}\\s`, "m"));
    writeFileSync(SECRET, "root's\n", { mode: 0o600 });
    ends.push(() => rmSync(SECRET));
    expect((await kvm1.exec(["cat", SECRET], LIMIT)).stdout).toBe("root's\n");
  });

  test("what takes too long is ended with all that it started", async () => {
    const [, kvm1] = await login(options);
    const script = "sleep 3333 & sleep 3333; echo no";
    await expect(kvm1.exec(["sh", "-c", script], { timeout: 1500 })).rejects.toMatchObject({
      code: "timed_out",
    });
    await until("no process is left", () => sleeping("3333") === 0, 10);
  });

  test("what runs when the connection is closed is ended", async () => {
    const [, kvm1] = await login(options);
    const running = kvm1.exec(["sh", "-c", "sleep 5555; echo no"], LIMIT).catch(() => {});
    await until("it runs", () => sleeping("5555") > 0, 20);
    await kvm1.close();
    await until("no process is left", () => sleeping("5555") === 0, 10);
    await running;
  });

  test("a program that is missing", async () => {
    const [, kvm1] = await login(options);
    await expect(kvm1.exec(["no-such-program"], LIMIT)).rejects.toMatchObject({
      code: "unsupported",
      message: "no-such-program is not installed on hypervisor kvm1",
    });
  });
});

test("here, too, what takes too long is ended", async () => {
  const [user] = await login({ sudo: "NOPASSWD: ALL" });
  const room = join(import.meta.dirname, "../../../runtime/hypervisor");
  const script = `
    import { Hypervisor } from "${room}/hypervisor.ts";
    import { localTransport } from "${room}/local.ts";
    const uri = "qemu:///system";
    const here = new Hypervisor("here", uri, ${JSON.stringify(VIRSH)}, localTransport(uri));
    const run = (argv, timeout) => here.exec(argv, { timeout });
    const { stdout } = await run(["id", "-un"], 20_000);
    const { code } = await run(["sh", "-c", "sleep 4444; echo no"], 1500).catch((error) => error);
    console.log(stdout.trim(), code);
    await here.close();`;
  expect(await user.run(process.execPath, "-e", script)).toBe("root timed_out\n");
  await until("no process is left", () => sleeping("4444") === 0, 10);
});

describe("a refusal is clear", () => {
  test.each<[string, LoginUserOptions]>([
    ["a password", { sudo: "ALL" }],
    ["no rule", {}],
    ["a rule for another program", { sudo: "NOPASSWD: /usr/bin/true" }],
  ])("%s", async (_what, options) => {
    const [, kvm1] = await login(options);
    await expect(kvm1.exec(["id"], LIMIT)).rejects.toMatchObject({
      code: "permission_denied",
      message: expect.stringMatching(
        /^hypervisor kvm1: sudo -n does not run id \(.+\); .*NOPASSWD/,
      ),
    });
    expect(await kvm1.oneShot(["uri"], LIMIT)).toMatch(/qemu:\/\/\/system/);
  });

  test("the server's answers", async () => {
    const user = await startLoginUser({ sudo: "ALL" });
    ends.push(user.remove);
    const server = await serveHosts({ kvm1: { uri: user.uri(), sudo: true } });
    ends.push(server.stop);
    const { hosts } = expectSuccess(await server.get("/hosts"));
    expect(hosts).toContainEqual(
      expect.objectContaining({
        host: "kvm1",
        state: "up",
        login: null,
        login_error: expect.stringMatching(/sudo -n .*password.*NOPASSWD/),
      }),
    );
    const export_ = await server.get("/capabilities?host=kvm1");
    expectError(export_, 500, "permission_denied", /sudo -n does not run sh/);
  });
});

test("an image that only root may read is uploaded, here and over SSH", {
  timeout: slow(120_000),
}, async () => {
  const user = await startLoginUser({ sudo: "NOPASSWD: ALL" });
  ends.push(user.remove);
  const server = await serveHosts({
    kvm1: { uri: user.uri(), sudo: true },
    here: { uri: "qemu:///system", sudo: true },
  });
  ends.push(server.stop);
  const source = "/var/lib/libvirt/source.raw";
  writeFileSync(source, Buffer.alloc(2 * 1024 * 1024, "image"), { mode: 0o600 });
  ends.push(() => rmSync(source));
  for (const host of ["kvm1", "here"]) {
    const volume = `${host}.raw`;
    const body = { pool: "default", volume, format: "raw", source_path: source };
    expectSuccess(await server.post(`/libvirt/volume/upload?host=${host}`, body), 201);
    const copy = readFileSync(`/var/lib/libvirt/images/${volume}`);
    expect(copy.equals(readFileSync(source))).toBe(true);
    await virsh("vol-delete", volume, "default");
  }
  const { hosts } = expectSuccess(await server.get("/hosts"));
  const expected = { user: "root", root: true, sudo: true, reads_images: true, cannot: [] };
  for (const host of ["kvm1", "here"]) {
    expect(hosts).toContainEqual(
      expect.objectContaining({ host, login: expect.objectContaining(expected) }),
    );
  }
});
