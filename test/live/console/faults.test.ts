/** What becomes of open consoles when something fails under them, and what their viewers are told. */
import { afterAll, beforeAll, describe, expect } from "vitest";
import { startEcho } from "../../fixtures/live/console.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { start, virsh } from "../../fixtures/live/machine.ts";
import { processes, until } from "../../fixtures/live/virsh.ts";
import { handshake, type Opened, openSocket, refusal } from "../../fixtures/socket.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import { type Sshd, startSshd } from "../../lab/sshd.ts";
import type { TestServer } from "../../server.ts";

const { test, server } = labTest({ start });
let sshd: Sshd;
let remote: TestServer;
beforeAll(async () => {
  sshd = await startSshd();
  remote = await start(undefined, { LIBVIRT_DEFAULT_URI: sshd.uri() });
});
afterAll(async () => {
  await remote.stop();
  await sshd.stop();
});

const SERIAL = "/console/serial?name=echo";
const SCREEN = "/console/vnc?name=echo";

/** The machine is up once it echoes. */
async function echoes(one: Opened, text: string) {
  const ping = setInterval(() => one.send(text), 200);
  await one.says(text).finally(() => clearInterval(ping));
}

/** Opened again and again, as the page does. */
async function again(at: TestServer, path: string): Promise<Opened> {
  let opened: Opened | undefined;
  const open = async () => {
    opened = await openSocket(at.url, path).catch(() => undefined);
    return opened !== undefined;
  };
  await until(`${path} opens again`, open, 30);
  return opened as Opened;
}

/** A frame of the screen comes: QEMU hears this viewer. */
async function draws(one: Opened) {
  const before = one.bytes();
  one.send(Buffer.from([3, 0, 0, 0, 0, 0, 0, 1, 0, 1]));
  await until("a pixel comes", () => one.bytes() > before, 30);
}

describe.each([
  ["local", () => server],
  ["over SSH", () => remote],
] as const)("%s", (_where, of) => {
  test("libvirtd is killed: the serial line says why and opens again, the screen stays", async ({
    machine,
  }) => {
    await startEcho(machine, "echo");
    const [line, screen] = [await openSocket(of().url, SERIAL), await handshake(of().url, SCREEN)];
    await echoes(line, "~");
    await stopLibvirtd();
    try {
      expect(await line.closed).toMatchObject({
        code: 1011,
        reason: expect.stringMatching(/^unreachable: libvirt of local has gone: /),
      });
      const away = await refusal(of().url, SERIAL);
      expect([away.status, away.body.code]).toEqual([503, "unreachable"]);
    } finally {
      await startLibvirtd();
    }
    const anew = await again(of(), SERIAL);
    await echoes(anew, "+");
    await draws(screen);
    for (const { socket } of [anew, screen]) socket.close();
  });

  test("the machine is reset: both stay", async ({ machine }) => {
    await startEcho(machine, "echo");
    const [line, screen] = [await openSocket(of().url, SERIAL), await handshake(of().url, SCREEN)];
    await echoes(line, "~");
    await virsh("reset", "--domain", "echo");
    await echoes(line, "+");
    await draws(screen);
    for (const { socket } of [line, screen]) socket.close();
  });

  test("QEMU is frozen: what is typed waits within a bound, and both go on afterwards", async ({
    machine,
  }) => {
    await startEcho(machine, "echo");
    const line = await openSocket(of().url, SERIAL);
    const [screen, other] = [await handshake(of().url, SCREEN), await handshake(of().url, SCREEN)];
    await echoes(line, "~");
    const [pid = 0] = processes("qemu-system-x86_64");
    process.kill(pid, "SIGSTOP");
    try {
      line.send("after all");
      const piece = Buffer.alloc(512 * 1024);
      const flood = setInterval(() => other.send(piece), 20);
      expect(await other.closed).toEqual({
        code: 1013,
        reason: "the guest takes nothing; connect again",
      });
      clearInterval(flood);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await line.says("after all");
    await draws(screen);
    for (const { socket } of [line, screen]) socket.close();
  });
});

test("the SSH connection is lost: both are told, and open again once it is back", async ({
  machine,
}) => {
  await startEcho(machine, "echo");
  const line = await openSocket(remote.url, SERIAL);
  const screen = await handshake(remote.url, SCREEN);
  await echoes(line, "~");
  await sshd.kill();
  expect(await line.closed).toMatchObject({
    code: 1011,
    reason: expect.stringMatching(/^unreachable: /),
  });
  expect((await screen.closed).code).toBe(1000);
  expect((await refusal(remote.url, SERIAL)).body.code).toBe("unreachable");
  await sshd.start();
  const anew = await again(remote, SERIAL);
  await echoes(anew, "+");
  const drawn = await handshake(remote.url, SCREEN);
  await draws(drawn);
  for (const { socket } of [anew, drawn]) socket.close();
});
