/** Where the screens and consoles of a running domain are. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { start, virsh } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";

const { test, server } = labTest({ start });

const get = (name: string) => server.get(`/libvirt/console?name=${encodeURIComponent(name)}`);

/** What a server says first: a VNC server its version. */
const greeting = (port: number) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect(port, "127.0.0.1").once("error", reject);
    socket.once("data", (data) => {
      resolve(data.toString());
      socket.destroy();
    });
  });

test("a screen and two consoles, which are there", async ({ machine }) => {
  const devices = xml`<graphics type="vnc" port="-1" autoport="yes" websocket="-1" listen="127.0.0.1"/>
    <serial type="pty"/><console type="pty"><target type="serial"/></console>
    <console type="unix"><source mode="bind" path="/run/con.sock"/><target type="virtio"/></console>`;
  await machine("it's a vm", { devices });
  await virsh("start", "--domain", "it's a vm");
  const data = expectSuccess(await get("it's a vm"));
  expect(data).toMatchObject({
    name: "it's a vm",
    graphics: [{ type: "vnc", listen: "127.0.0.1", tls_port: null, socket: null }],
    consoles: [
      { type: "pty", target: "serial", path: expect.stringMatching(/^\/dev\/pts\/\d+$/) },
      { type: "unix", target: "virtio", path: "/run/con.sock" },
    ],
  });
  expect(await greeting(data.graphics[0].port)).toMatch(/^RFB /);
  expect(data.graphics[0].websocket).toBeGreaterThan(0);
  for (const { path } of data.consoles) expect(existsSync(path)).toBe(true);
});

test("a screen on a socket, and none at all", async ({ machine }) => {
  await machine("socket", {
    devices: xml`<graphics type="vnc"><listen type="socket" socket="/run/vnc.sock"/></graphics>`,
  });
  await machine("none");
  for (const name of ["socket", "none"]) await virsh("start", "--domain", name);
  expect(expectSuccess(await get("socket")).graphics).toMatchObject([
    { type: "vnc", port: null, socket: "/run/vnc.sock" },
  ]);
  expect(expectSuccess(await get("none"))).toMatchObject({ graphics: [], consoles: [] });
});

test("errors", async ({ machine }) => {
  await machine("off");
  expectError(await get("off"), 500, "not_active", /off is not running/);
  expectError(await get("nobody"), 404, "not_found", /nobody/);
  expectError(await get("7"), 404, "not_found", /7/);
  expectError(await server.get("/libvirt/console"), 400, "invalid_input", /^name: required/);
  expectError(
    await server.post("/libvirt/console", { name: "off" }),
    405,
    "method_not_allowed",
    /use GET/,
  );
});

/** What a person pastes into a shell. */
test("the command says the name as one word", async ({ machine }) => {
  await machine("it's; a vm");
  await virsh("start", "--domain", "it's; a vm");
  const { command } = expectSuccess(await get("it's; a vm"));
  const local = command.replace(/'qemu\+ssh:[^']+'/, "qemu:///system"); // with test:remote
  expect(local).toBe(`virsh -c qemu:///system console --domain 'it'\\''s; a vm'`);
});
