/** GET /libvirt/console?name=: what is read from a running domain's definition. */
import { expect, test } from "vitest";
import console_ from "../../../functions/libvirt/console.ts";
import { answering } from "../../fixtures/fake.ts";

const having = (state: string, devices = "") =>
  Object.assign(
    answering((verb) =>
      verb === "domstate" ? `${state}\n\n` : `<domain><devices>${devices}</devices></domain>`,
    ),
    { uri: "qemu+ssh://root@kvm1/system?keyfile=/a b" },
  );

test("screens and consoles, and the command for a shell", async () => {
  const fake = having(
    "running",
    `<graphics type='vnc' port='5901' websocket='5701' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>
     <graphics type='spice' port='-1' tlsPort='5911'><listen type='address' address='::1'/></graphics>
     <graphics type='vnc' socket='/run/v'><listen type='socket' socket='/run/v'/></graphics>
     <graphics type='sdl'/>
     <console type='pty'><source path='/dev/pts/3'/><target type='serial' port='0'/></console>
     <console type='unix'><source mode='bind' path='/run/c'/></console>`,
  );
  const none = { listen: null, port: null, tls_port: null, websocket: null, socket: null };
  expect(await console_({ name: "it's" }, fake)).toEqual({
    name: "it's",
    graphics: [
      { ...none, type: "vnc", listen: "127.0.0.1", port: 5901, websocket: 5701 },
      { ...none, type: "spice", listen: "::1", tls_port: 5911 },
      { ...none, type: "vnc", socket: "/run/v" },
      { ...none, type: "sdl" },
    ],
    consoles: [
      { type: "pty", target: "serial", path: "/dev/pts/3" },
      { type: "unix", target: null, path: "/run/c" },
    ],
    reasons: {},
    command: "virsh -c 'qemu+ssh://root@kvm1/system?keyfile=/a b' console --domain 'it'\\''s'",
  });
});

test("a domain that is off has none", async () => {
  await expect(console_({ name: "x" }, having("shut off"))).rejects.toMatchObject({
    code: "not_active",
    message: "domain x is not running",
  });
});
