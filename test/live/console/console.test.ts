/** Screens and serial lines of running domains, local and over SSH: seen, typed into, watched, refused. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { decode } from "fast-png";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { logOf, startEcho } from "../../fixtures/live/console.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { start, virsh } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { handshake, type Opened, openSocket, refusal } from "../../fixtures/socket.ts";
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

const serial = (name: string) => readFileSync(logOf(name), "utf8");
/** It is up once it echoes. */
const typed = (name: string, text: string) =>
  until(`the guest has ${text}`, () => serial(name).includes(text), 60);
async function booted(one: Opened) {
  const ping = setInterval(() => one.send("~"), 200);
  await one.says("~").finally(() => clearInterval(ping));
}

const picture = async (at: TestServer, name: string) => {
  const response = await fetch(`${at.url}/console/screenshot?name=${name}`);
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "image/png"]);
  return new Uint8Array(await response.arrayBuffer());
};
/** The cursor blinks, and another moment has another picture of it. */
function alike(one: Uint8Array, other: Uint8Array): boolean {
  const [a, b] = [decode(one), decode(other)];
  const differing = [...a.data].filter((value, i) => value !== b.data[i]).length;
  return a.width === b.width && a.height === b.height && differing < a.data.length / 100;
}

describe.each([
  ["local", () => server],
  ["over SSH", () => remote],
] as const)("%s", (_where, of) => {
  test("keys are typed, and the picture is that of virsh", async ({ machine }) => {
    await startEcho(machine, "echo");
    const one = await openSocket(of().url, "/console/serial?name=echo");
    await booted(one);
    const text = "Hello, {World}! ~_\n";
    expectSuccess(await of().post("/libvirt/domain/send-key", { name: "echo", text }));
    await typed("echo", "Hello, {World}! ~_\r");
    const keys = ["KEY_LEFTSHIFT", "KEY_Q"];
    expectSuccess(await of().post("/libvirt/domain/send-key", { name: "echo", keys }));
    await typed("echo", "\rQ");
    await until("both pictures are the same", async () => {
      await virsh("screenshot", "echo", "--file", "/run/echo.png");
      return alike(await picture(of(), "echo"), readFileSync("/run/echo.png"));
    });
    const json = await of().get("/console/screenshot?name=echo", {
      headers: { Accept: "application/json" },
    });
    const { media, base64 } = expectSuccess(json);
    expect([media, Buffer.from(base64, "base64").subarray(1, 4).toString()]).toEqual([
      "image/png",
      "PNG",
    ]);
    const wrong = { name: "echo", keys: ["KEY_NONE_SUCH"] };
    const answer = await of().post("/libvirt/domain/send-key", wrong);
    expectError(answer, 400, "invalid_input", /^keys: codeset linux has no key KEY_NONE_SUCH/);
    const answered = await of().post("/libvirt/domain/send-key", { name: "echo", keys: [999] });
    expectError(answered, 400, "invalid_input", /^keys: codeset linux has no key 999/);
    const second = await of().get("/console/screenshot?name=echo&screen=3");
    expectError(second, 404, "not_found", /^screen: domain echo has 1 screen, the first is 0/);
    const nobody = await of().post("/console/ticket", { name: "nobody", kind: "vnc" });
    expectError(nobody, 404, "not_found", /nobody/);
    one.socket.close();
  });

  test("the serial line: one types, others watch, force takes over", async ({ machine }) => {
    await startEcho(machine, "line");
    const path = "/console/serial?name=line";
    const one = await openSocket(of().url, path);
    await booted(one);
    one.send("first");
    await one.says("first");
    const watcher = await openSocket(of().url, `${path}&view=1`);
    await watcher.says("first"); // written before it came
    watcher.send("not typed");
    one.send("second");
    await watcher.says("second");
    expectError(await refusal(of().url, path), 500, "in_use", /types into serial0 of domain line/);
    const other = await openSocket(of().url, `${path}&force=true`);
    await until("the first is told", () => one.notes.includes('{"type":"taken"}'));
    one.send("lost");
    other.send("third");
    await one.says("third");
    await typed("line", "firstsecondthird"); // the log may be a moment behind
    await virsh("destroy", "line");
    for (const { closed } of [one, other, watcher]) expect((await closed).code).toBe(1000);
    expectError(await refusal(of().url, path), 500, "not_active", /line is not running/);
  });

  test("what libvirt has kept is shown, and a session elsewhere is in use", async ({ machine }) => {
    await startEcho(machine, "kept");
    const path = "/console/serial?name=kept";
    const one = await openSocket(of().url, path);
    await booted(one);
    one.send("before");
    await one.says("before");
    // another process of virsh, with a terminal of its own
    one.socket.close();
    await one.closed;
    const argv = ["virsh", "console", "kept", "--force"];
    const elsewhere = Bun.spawn(argv, { terminal: { data: () => {} } });
    await until("it is in use", async () => {
      const answer = await refusal(of().url, path).catch(() => undefined);
      return answer?.body.code === "in_use";
    });
    const forced = await openSocket(of().url, `${path}&force=1`);
    await forced.says("before");
    forced.send("after");
    await forced.says("after");
    expect(forced.text().match(/before/g)).toHaveLength(1);
    elsewhere.kill();
    await elsewhere.exited;
    forced.socket.close();
  });

  test("the screen: VNC's own words, and keys that arrive", async ({ machine }) => {
    await startEcho(machine, "screen");
    const line = await openSocket(of().url, "/console/serial?name=screen");
    await booted(line);
    const one = await handshake(of().url, "/console/vnc?name=screen");
    key(one, 0x78); // x
    await typed("screen", "x");
    const watcher = await handshake(of().url, "/console/vnc?name=screen&view=1");
    key(watcher, 0x79); // y
    // an update of one pixel comes after all that was sent before
    const before = watcher.bytes();
    watcher.send(Buffer.from([3, 0, 0, 0, 0, 0, 0, 1, 0, 1]));
    await until("a pixel comes", () => watcher.bytes() > before);
    key(one, 0x7a); // z
    await typed("screen", "z");
    expect(serial("screen")).not.toContain("y");
    for (const { socket } of [one, watcher, line]) socket.close();
  });

  test("a screen on a Unix socket; one that is none of VNC's; none", async ({ machine }) => {
    const graphics = xml`<graphics type="vnc"><listen type="socket" socket="/run/echo-vnc.sock"/></graphics>`;
    await startEcho(machine, "socket", { graphics });
    const one = await handshake(of().url, "/console/vnc?name=socket");
    one.socket.close();
    await startEcho(machine, "none", { graphics: xml`` });
    expectError(await refusal(of().url, "/console/vnc?name=none"), 404, "not_found", /no screen/);
    const { screens, serials, screenshot } = expectSuccess(
      await of().get("/console/info?name=socket"),
    );
    expect(screens).toMatchObject([
      {
        type: "vnc",
        socket: "/run/echo-vnc.sock",
        reachable: true,
        page: "/console/vnc?name=socket",
      },
    ]);
    expect(serials).toMatchObject([
      {
        ...{ device: "serial0", type: "pty", log: logOf("socket"), reachable: true },
        page: "/console/serial?name=socket",
      },
    ]);
    expect(screenshot).toBe("/console/screenshot?name=socket");
    const found = expectSuccess(await of().get("/console/serial-device?name=socket"));
    expect(found).toMatchObject({ device: expect.stringMatching(/^\/dev\/pts\/\d+$/) });
    await virsh("destroy", "none");
    const off = expectSuccess(await of().get("/console/info?name=none"));
    expect(off).toMatchObject({ state: "shut off", serials: [{ reachable: false, page: null }] });
  });
});

function key(one: Opened, code: number) {
  for (const down of [1, 0]) one.send(Buffer.from([4, down, 0, 0, 0, 0, 0, code]));
}

test("a console that was opened by UUID tells why it has ended", async ({ machine }) => {
  const uuid = await startEcho(machine, "known");
  const line = await openSocket(server.url, `/console/serial?name=${uuid}`);
  const screen = await handshake(server.url, `/console/vnc?name=${uuid}`);
  await virsh("destroy", "known");
  for (const { closed } of [line, screen])
    expect((await closed).reason).toBe("the domain has stopped: destroyed");
});

test("who has lost the keyboard is told when nobody types any more; a ping is answered", async ({
  machine,
}) => {
  await startEcho(machine, "free");
  const path = "/console/serial?name=free";
  const one = await openSocket(server.url, path);
  const last = () => JSON.parse(one.notes.at(-1) ?? "{}").type;
  const other = await openSocket(server.url, `${path}&force=1`);
  await until("it is taken", () => last() === "taken");
  other.socket.close();
  await until("it is free", () => last() === "free");
  const third = await openSocket(server.url, path); // without force
  await until("it is taken again", () => last() === "taken");
  one.socket.send(JSON.stringify({ type: "ping" }));
  await until("it answers", () => last() === "pong");
  for (const { socket } of [one, third]) socket.close();
});

test("a guest that floods the line, a viewer who takes nothing", async ({ machine }) => {
  await startEcho(machine, "flood");
  const path = "/console/serial?name=flood";
  const one = await openSocket(server.url, path);
  await booted(one);
  const lazy = connect(Number(new URL(server.url).port), "127.0.0.1");
  const words = [
    `GET ${path}&view=1 HTTP/1.1`,
    "Host: 127.0.0.1",
    ...["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  lazy.write(`${words.join("\r\n")}\r\n\r\n`);
  await new Promise((resolve) => lazy.once("data", resolve));
  lazy.pause();
  const before = memory(server.pid);
  one.send("F");
  // it is cut off with a reason, and the other goes on
  await until("it is cut off", () => /"closed":"1013 /.test(server.log()), 120);
  const bytes = one.bytes();
  await until("the other goes on", () => one.bytes() > bytes + 100_000, 60);
  expect(memory(server.pid) - before).toBeLessThan(64 * 2 ** 20);
  lazy.destroy();
  one.socket.close();
  await one.closed;
});

const memory = (pid: number) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
