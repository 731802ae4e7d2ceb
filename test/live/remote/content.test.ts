/** Bytes into volumes and out of them over SSH: a connection that is lost, logins without root, with sudo, and BusyBox. */
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync, statSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { contentOf, endless, expectNothing, inChunks, notes } from "../../fixtures/live/content.ts";
import { serveHosts } from "../../fixtures/live/hosts.ts";
import {
  at,
  imageInfo,
  STATE,
  STORE,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { busyboxTools } from "../../lab/busybox.ts";
import { type LoginUser, startLoginUser } from "../../lab/login-user.ts";
import { type Sshd, startSshd, tree } from "../../lab/sshd.ts";
import type { TestServer } from "../../server.ts";

const MIB = 2 ** 20;
const BYTES = randomBytes(8 * MIB).fill(0, 2 * MIB, 5 * MIB);
afterEach(wipe);

/** In, out, a part, converted, refused, cut off: what each kind of login can do alike. */
async function expectAll(server: TestServer) {
  const { put, get, cut } = contentOf(server);
  expectSuccess(await put("v", inChunks(BYTES)), 201);
  expect((await get("v")).bytes.equals(BYTES)).toBe(true);
  const part = await get("v", { Range: "bytes=1000-2000000" });
  expect([part.status, part.bytes.equals(BYTES.subarray(1000, 2_000_001))]).toEqual([206, true]);
  const { mode, uid } = statSync(at("v"));
  expect([mode & 0o777, uid]).toEqual([0o600, 0]);
  expectSuccess(await put("q", BYTES, { format: "qcow2", capacity: "20MiB" }), 201);
  expect(await imageInfo(at("q"))).toMatchObject({ format: "qcow2", "virtual-size": 20 * MIB });
  const made = (await get("q")).bytes;
  expectSuccess(await put("q2", made), 201);
  expect((await get("q2")).bytes.equals(made)).toBe(true);
  const overlay = Buffer.from(made);
  overlay.writeBigUInt64BE(104n, 8);
  expectError(await put("o", overlay), 400, "invalid_input", /^body: the image has a backing/);
  const sha256 = { sha256: "0".repeat(64) };
  expectError(await put("o", BYTES, sha256), 400, "invalid_input", /^sha256: /);
  const before = notes(STATE); // the lost connections of other tests may have left some
  await cut("o", BYTES, 5 * MIB, "length");
  await until("the journal is removed", () => notes(STATE).every((it) => before.includes(it)), 20);
  await expectNothing(STORE, "default", ["q", "q2", "v"]);
}

/** Whether bytes are in a file of an upload's folder: the program that writes them is at work. */
function arriving(): boolean {
  const files = readdirSync(STORE, { recursive: true }).map(String);
  return files.some(
    (name) =>
      name.includes("/") && (statSync(at(name), { throwIfNoEntry: false })?.size ?? 0) >= MIB,
  );
}

describe("a connection that is lost", () => {
  let sshd: Sshd;
  let server: TestServer;
  beforeAll(async () => {
    sshd = await startSshd();
    server = await start(undefined, { LIBVIRT_DEFAULT_URI: sshd.uri() });
  });
  afterAll(async () => {
    await server.stop();
    await sshd.stop();
  });

  test("in the middle of an upload: nothing is left, and the next one works", async () => {
    const { put } = contentOf(server);
    const call = put("v", endless(MIB));
    await until("bytes arrive", () => readdirSync(STORE).length > 0, 30);
    await sshd.kill();
    expectError(await call, 503, "unreachable", /SSH connection was lost/);
    await until("nothing is left", () => readdirSync(STORE).length === 0, 30);
    await sshd.start();
    await expectNothing();
    await until("it is reached again", async () => (await put("v", BYTES, {})).status === 201, 60);
  });

  test("while nobody notices there: the next connection ends the program, and its folder goes", async () => {
    const { put } = contentOf(server);
    expectSuccess(await put("first", BYTES), 201);
    const call = put("v", endless(MIB));
    await until("bytes arrive", arriving, 30);
    // the processes of the connection hang, with all that they have started
    const hung = tree(sshd.pid()).slice(1);
    const receivers = hung.filter((pid) => tree(pid).length === 1);
    for (const pid of receivers) process.kill(pid, "SIGSTOP");
    await sshd.kill();
    expectError(await call, 503, "unreachable", /SSH connection was lost/);
    expect(readdirSync(STORE)).toHaveLength(2);
    await sshd.start();
    await until("it is reached again", async () => (await put("second", BYTES)).status === 201, 60);
    for (const pid of receivers) {
      try {
        process.kill(pid, "SIGCONT");
      } catch {
        // it was ended
      }
    }
    await until("nothing else is left", () => readdirSync(STORE).length === 2, 30);
    await expectNothing(STORE, "default", ["first", "second"]);
  });

  test("in the middle of an answer: it breaks off", async () => {
    await sh("truncate -s 4G v");
    await virsh("pool-refresh", "default");
    const answer = async () => {
      const url = `${server.url}/libvirt/volume/content?pool=default&volume=v`;
      const response = await fetch(url);
      if (response.status !== 200) return undefined;
      return response.body?.getReader();
    };
    let reader = await answer();
    for (let i = 0; i < 20 && !reader; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      reader = await answer();
    }
    if (!reader) throw new Error("no answer within 20 s");
    const bytes = reader;
    await bytes.read();
    await sshd.kill();
    const rest = async () => {
      for (;;) if ((await bytes.read()).done) return "complete";
    };
    expect(await rest().catch(() => "broken off")).toBe("broken off");
    await sshd.start();
  });
});

describe("a login", () => {
  let user: LoginUser | undefined;
  let server: TestServer | undefined;
  afterEach(async () => {
    await server?.stop();
    await user?.remove();
  });

  test("without root: libvirtd takes and gives the bytes", async () => {
    user = await startLoginUser();
    server = await start(undefined, { LIBVIRT_DEFAULT_URI: user.uri() });
    await expectAll(server);
  });

  test("with sudo", async () => {
    user = await startLoginUser({ sudo: "NOPASSWD: ALL" });
    const hosts = { local: { uri: user.uri(), sudo: true } };
    server = await serveHosts(hosts, "", { env: { XDG_STATE_HOME: STATE } });
    await expectAll(server);
  });

  test("whose sudo refuses", async () => {
    user = await startLoginUser();
    const hosts = { local: { uri: user.uri(), sudo: true } };
    server = await serveHosts(hosts, "", { env: { XDG_STATE_HOME: STATE } });
    const { put } = contentOf(server);
    expectError(await put("v", BYTES), 500, "permission_denied", /sudo -n does not run/);
  });
});

test("BusyBox's tools in the place of GNU's", async () => {
  const tools = "/run/busybox-content";
  await busyboxTools(tools, ["virsh", "qemu-img"]);
  const sshd = await startSshd({ config: [`SetEnv PATH=${tools}`] });
  const server = await start(undefined, { LIBVIRT_DEFAULT_URI: sshd.uri() });
  try {
    await expectAll(server);
  } finally {
    await server.stop();
    await sshd.stop();
    rmSync(tools, { recursive: true });
  }
});
