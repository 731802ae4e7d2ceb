/** Ways to log in that go well: agent, default keys, jump hosts, key types; and a script that ends by itself. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { expectError, expectSuccess, processes, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { type Sshd, startSshd, tree } from "../../lab/sshd.ts";

const run = promisify(execFile);
let folder: string;
let inner: Sshd;
let gate: Sshd;
let shut: Sshd;
const keygen = (name: string, ...args: string[]) =>
  execFileSync("ssh-keygen", ["-q", "-N", "", "-C", "", "-f", join(folder, name), ...args]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ssh-login-"));
  keygen("ecdsa", "-t", "ecdsa");
  keygen("rsa", "-t", "rsa", "-b", "2048");
  const more = ["ecdsa", "rsa"].map((name) => `HostKey ${join(folder, name)}`);
  [inner, gate, shut] = await Promise.all([
    startSshd({ config: more }),
    startSshd(),
    startSshd({ config: ["AllowTcpForwarding no"] }),
  ]);
});
afterAll(async () => {
  await Promise.all([inner, gate, shut].map((one) => one.stop()));
  await rm(folder, { recursive: true });
});

let server: HostsServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
  // nothing of ours is left on any of them
  await until("all connections are closed", () =>
    [inner, gate, shut].every((one) => tree(one.pid()).length === 1),
  );
  expect(processes("virsh")).toEqual([]);
});

const at = ({ port }: Sshd, name = "127.0.0.1") => `qemu+ssh://root@${name}:${port}/system`;
const read = (file: string) => readFileSync(file, "utf8");
const networks = (host: string) => (server as HostsServer).get(`/libvirt/networks?host=${host}`);

describe("keys", () => {
  test("the user's own, and a hashed record of host keys", async () => {
    const known = join(folder, "hashed");
    await writeFile(known, read(inner.knownHosts));
    await run("ssh-keygen", ["-H", "-f", known]);
    const files = { id_ed25519: read(inner.key), known_hosts: read(known) };
    server = await serveHosts({ kvm1: at(inner) }, "", { files });
    expectSuccess(await networks("kvm1"));
  });

  test.each(["ecdsa", "rsa"])("of a host of which the %s key alone is known", async (type) => {
    const known = `[127.0.0.1]:${inner.port} ${read(join(folder, `${type}.pub`))}`;
    const files = { id_ed25519: read(inner.key), known_hosts: known };
    server = await serveHosts({ kvm1: at(inner) }, "", { files });
    expectSuccess(await networks("kvm1"));
  });

  test.each(["ecdsa", "rsa"])("an %s key", async (type) => {
    const key = join(folder, `user-${type}`);
    keygen(`user-${type}`, "-t", type);
    await appendFile(join(inner.home, ".ssh/authorized_keys"), read(`${key}.pub`));
    const uri = `${at(inner)}?keyfile=${key}&known_hosts=${inner.knownHosts}`;
    server = await serveHosts({ kvm1: uri });
    expectSuccess(await networks("kvm1"));
  });
});

describe("ssh-agent", () => {
  let socket: string;
  let pid: number;
  const add = (file: string) =>
    run("ssh-add", ["-q", file], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
  beforeAll(async () => {
    socket = join(folder, "agent");
    const { stdout } = await run("ssh-agent", ["-a", socket]);
    pid = Number(/SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1]);
  });
  const kvm1 = () => ({ kvm1: `${at(inner)}?known_hosts=${inner.knownHosts}` });
  const env = () => ({ SSH_AUTH_SOCK: socket });

  test("without keys, then with the one that is needed", async () => {
    server = await serveHosts(kvm1(), "", { env: env() });
    const message = /refuses the login with the ssh-agent. Check the user/;
    expectError(await networks("kvm1"), 503, "unreachable", message);
    await add(inner.key);
    await until("kvm1 answers", async () => (await networks("kvm1")).status === 200, 35);
  });

  test("with more keys than sshd cares to try", async () => {
    await run("ssh-add", ["-q", "-D"], { env: { ...process.env, ...env() } });
    for (let i = 0; i < 7; i++) {
      keygen(`many${i}`, "-t", "ed25519");
      await add(join(folder, `many${i}`));
    }
    await add(inner.key);
    server = await serveHosts(kvm1(), "", { env: env() });
    const message =
      /was offered too many keys \(MaxAuthTries\); name the right one in the URI \(keyfile=…\)/;
    expectError(await networks("kvm1"), 503, "unreachable", message);
  });

  test("that has ended: its keys are missing, those in files count", async () => {
    process.kill(pid);
    await until("the agent has ended", () => !processes("ssh-agent").includes(pid));
    server = await serveHosts(kvm1(), "", { env: env() });
    expectError(
      await networks("kvm1"),
      503,
      "unreachable",
      /refuses the login with the ssh-agent; the ssh-agent fails \(Failed to connect to agent\)/,
    );
    await server.stop();
    server = await serveHosts(kvm1(), "", { env: env(), files: { id_ed25519: read(inner.key) } });
    expectSuccess(await networks("kvm1"));
  });
});

describe("keys that live in the ssh-agent", () => {
  const SECRET = "open sesame";
  let runtimeDir: string;
  let pid: number;
  const key = (name: string) => join(folder, name);
  beforeAll(async () => {
    runtimeDir = await mkdtemp(join(folder, "run-"));
    const socket = join(runtimeDir, "agent.sock");
    const { stdout } = await run("ssh-agent", ["-a", socket]);
    pid = Number(/SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1]);
    const ask = key("askpass");
    await writeFile(ask, `#!/bin/sh\necho '${SECRET}'\n`, { mode: 0o755 });
    const env = {
      ...process.env,
      ...{ SSH_AUTH_SOCK: socket, SSH_ASKPASS: ask, SSH_ASKPASS_REQUIRE: "force", DISPLAY: ":0" },
    };
    keygen("token", "-t", "ed25519");
    keygen("locked", "-t", "ed25519", "-N", SECRET);
    // more than sshd cares to try, so that only the named one can log in
    for (let i = 0; i < 7; i++) {
      keygen(`other${i}`, "-t", "ed25519");
      await run("ssh-add", ["-q", key(`other${i}`)], { env });
    }
    for (const name of ["token", "locked"]) {
      await run("ssh-add", ["-q", key(name)], { env });
      await appendFile(join(inner.home, ".ssh/authorized_keys"), read(key(`${name}.pub`)));
    }
    await rm(key("token")); // the private half is in the agent alone
  });
  afterAll(async () => {
    process.kill(pid);
    await until("the agent has ended", () => !processes("ssh-agent").includes(pid));
  });

  const serve = (config: string, parameters = "", env: Record<string, string> = {}) =>
    serveHosts({ kvm1: `${at(inner, "kvm1")}?known_hosts=${inner.knownHosts}${parameters}` }, "", {
      env: { SSH_AUTH_SOCK: join(runtimeDir, "agent.sock"), ...env },
      files: { config: `Host kvm1\n HostName 127.0.0.1\n${config}` },
    });

  test.each<[string, string, string?]>([
    ["IdentityFile, encrypted, and IdentitiesOnly", "IdentityFile %f/locked\n IdentitiesOnly yes"],
    ["IdentityFile, a .pub, and IdentitiesOnly", "IdentityFile %f/token.pub\n IdentitiesOnly yes"],
    ["keyfile=, encrypted", "", "locked"],
    ["keyfile=, a .pub", "", "token.pub"],
  ])("%s", async (_what, config, keyfile) => {
    const parameters = keyfile ? `&keyfile=${key(keyfile)}` : "";
    server = await serve(config.replace("%f", folder), parameters);
    expectSuccess(await networks("kvm1"));
  });

  test("IdentityAgent with a variable in braces", async () => {
    const config = `IdentityAgent \${XDG_RUNTIME_DIR}/agent.sock\nIdentityFile ${key("token.pub")}\n`;
    server = await serve(config, "", { SSH_AUTH_SOCK: "", XDG_RUNTIME_DIR: runtimeDir });
    expectSuccess(await networks("kvm1"));
  });

  test("IdentitiesOnly keeps the agent's other keys back", async () => {
    server = await serve(`IdentityFile ${key("nothing")}\n IdentitiesOnly yes\n`);
    const message = /refuses the login with no key at all/;
    expectError(await networks("kvm1"), 503, "unreachable", message);
  });
});

describe("~/.ssh/config as OpenSSH reads it", () => {
  const identity = () => ` IdentityFile ${inner.key}\n`;
  const serve = (
    config: string,
    files: Record<string, string> = {},
    env: Record<string, string> = {},
  ) =>
    serveHosts({ kvm1: "qemu+ssh://root@kvm1/system" }, "", {
      env,
      files: { config: `${config}Host kvm1\n HostName 127.0.0.1\n Port ${inner.port}\n`, ...files },
    });

  test("Match exec", async () => {
    const known = ` UserKnownHostsFile ${inner.knownHosts}\n`;
    server = await serve(`Match exec "test %n = kvm1"\n${identity()}${known}`);
    expectSuccess(await networks("kvm1"));
  });

  test("variables in paths", async () => {
    const config = `Host *\n IdentityFile \${SSHD}/id_ed25519\n UserKnownHostsFile \${SSHD}/known_hosts\n`;
    server = await serve(config, {}, { SSHD: join(inner.home, ".ssh") });
    expectSuccess(await networks("kvm1"));
  });

  test("GlobalKnownHostsFile", async () => {
    server = await serve(`Host *\n${identity()} GlobalKnownHostsFile /none ${inner.knownHosts}\n`);
    expectSuccess(await networks("kvm1"));
  });

  test("known_hosts2", async () => {
    server = await serve(`Host *\n${identity()}`, { known_hosts2: read(inner.knownHosts) });
    expectSuccess(await networks("kvm1"));
  });

  test("without ssh on this machine the refusal says that it was not read", async () => {
    server = await serve(`Host *\n${identity()}`, {}, { PATH: "/nonexistent" });
    const message = /\. ~\/\.ssh\/config was not read: ssh is not installed on this machine/;
    expectError(await networks("kvm1"), 503, "unreachable", message);
  });
});

describe("jump hosts in ~/.ssh/config", () => {
  const config = (jump: string) => `
Host inner
  HostName 127.0.0.1
  Port ${inner.port}
  IdentityFile ${inner.key}
  UserKnownHostsFile ${inner.knownHosts}
  ProxyJump ${jump}
Host gate shut unknown
  HostName 127.0.0.1
  User root
Host gate unknown
  Port ${gate.port}
  IdentityFile ${gate.key}
Host gate
  UserKnownHostsFile ${gate.knownHosts}
Host shut
  Port ${shut.port}
  IdentityFile ${shut.key}
  UserKnownHostsFile ${shut.knownHosts}
`;
  const serve = async (jump: string) => {
    server = await serveHosts({ inner: "qemu+ssh://root@inner/system" }, "[ssh]\nkeepalive = 1\n", {
      files: { config: config(jump) },
    });
  };

  test("one", async () => {
    const before = gate.log();
    await serve("gate");
    expectSuccess(await networks("inner"));
    expect(gate.log().slice(before.length)).toMatch(/Accepted publickey for root/);
  });

  test("two", { timeout: slow(30_000) }, async () => {
    await serve("root@gate,gate");
    expectSuccess(await networks("inner"));
  });

  test("when it goes away and comes back", async () => {
    await serve("gate");
    expectSuccess(await networks("inner"));
    await gate.kill();
    expectError(
      await networks("inner"),
      503,
      "unreachable",
      /hypervisor inner: nothing listens at root@127/,
    );
    await gate.start();
    await until("it answers again", async () => (await networks("inner")).status === 200, 35);
  });

  test("when what is behind it goes away", async () => {
    await inner.kill();
    await serve("gate");
    const message =
      /inner: no SSH.*: root@127.0.0.1:\d+ cannot reach it for us: Connection refused/;
    expectError(await networks("inner"), 503, "unreachable", message);
    await inner.start();
    await until("it answers again", async () => (await networks("inner")).status === 200, 35);
  });

  test.each<[string, RegExp]>([
    [
      "shut",
      /inner: no SSH connection to root@.*: root@127.0.0.1:\d+ cannot reach it for us: open failed/,
    ],
    [
      "unknown",
      /hypervisor inner: the host key of root@127.0.0.1:\d+ is .* and none is recorded for \[127.0.0.1\]:\d+/,
    ],
    ["nowhere.invalid", /hypervisor inner: the name in \w+@nowhere.invalid:22 cannot be resolved/],
  ])("one that is %s", async (jump, message) => {
    await serve(jump);
    expectError(await networks("inner"), 503, "unreachable", message);
  });
});

test("a script that calls a function on an SSH host ends by itself", async () => {
  server = await serveHosts({ kvm1: inner.uri() });
  const script = join(folder, "script.ts");
  const call = `
import networks from "${import.meta.dirname}/../../../functions/libvirt/networks.ts";
import create from "${import.meta.dirname}/../../../functions/libvirt/network/create.ts";
import remove from "${import.meta.dirname}/../../../functions/libvirt/network/delete.ts";
const host = { host: "kvm1" };
await create({ name: "scripted", forward: "none" }, host);
const { networks: all } = await networks({}, host);
await remove({ name: "scripted" }, host);
console.log(all.map(({ name }) => name).join());
`;
  await writeFile(script, call);
  const env = { ...process.env, HYPERSDK_CONFIG: server.config };
  const child = spawn(process.execPath, [script], { env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
  }
  const [code] = await once(child, "close");
  expect(out).toBe("scripted\n");
  expect(code).toBe(0);
});
