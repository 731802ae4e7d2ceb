/** Login shells: whatever they make of quotes, a command arrives as it was given. */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sshTransport } from "../../../runtime/hypervisor/ssh/transport.ts";
import type { Transport } from "../../../runtime/hypervisor/transport.ts";
import { serveHosts } from "../../fixtures/live/hosts.ts";
import { expectSuccess, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { type LoginUser, startLoginUser } from "../../lab/login-user.ts";

const SETTINGS = { timeout: 20, keepalive: 15, idle: 300, logins: 4 };
const VALUES = [
  "two\nlines",
  "\n",
  "ends with a line break\n",
  "\r\t\u0001\u007f",
  "!! !x !",
  'it\'s "quoted" \\0012 \\n %s $HOME `id` ; & * ?',
  "'\\\n!\\''",
  "ünïcode\n… !",
];

describe.each(["/bin/tcsh", "/bin/sh", "/bin/bash", "/usr/bin/fish"])("%s", (shell) => {
  let user: LoginUser;
  let transport: Transport;
  beforeAll(async () => {
    user = await startLoginUser({ name: "toor", shell, root: true });
    transport = sshTransport("kvm1", user.uri(), SETTINGS);
  });
  afterAll(async () => {
    await transport.close();
    await user.remove();
  });

  test.each(VALUES)("%j as an argument", async (value) => {
    const printed = await transport.exec(["printf", "%s|", value, "end"], { timeout: 20_000 });
    expect(printed).toEqual({ stdout: `${value}|end|`, stderr: "", exitCode: 0 });
  });

  test("a script of several lines, its input and its exit code", async () => {
    const script = 'read -r line\nprintf "%s!\\n" "$line" "$1"\nexit 3';
    const options = { timeout: 20_000, input: "first!\nsecond\n" };
    const result = await transport.exec(["sh", "-c", script, "sh", "a\nb"], options);
    expect(result).toEqual({ stdout: "first!!\na\nb!\n", stderr: "", exitCode: 3 });
  });
});

test("with csh an image is uploaded", { timeout: slow(120_000) }, async () => {
  const user = await startLoginUser({ name: "toor", shell: "/bin/tcsh", root: true });
  const server = await serveHosts({ kvm1: user.uri() }, "[ssh]\ntimeout = 20\n");
  try {
    writeFileSync("/var/lib/libvirt/source.raw", Buffer.alloc(2 * 1024 * 1024, "image"));
    const answer = await server.post("/libvirt/volume/upload?host=kvm1", {
      pool: "default",
      volume: "up.qcow2",
      source_path: "/var/lib/libvirt/source.raw",
    });
    expectSuccess(answer, 201);
    expect(await virsh("vol-dumpxml", "up.qcow2", "default")).toContain("qcow2");
  } finally {
    await server.stop();
    await user.remove();
  }
});
