/** What stands between us and a hypervisor over SSH: each has its own message, and goes by itself once mended. */
import { execFile, execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import { freePort, type Sshd, startSshd } from "../../lab/sshd.ts";

const run = promisify(execFile);
const SECRET = "open sesame 4711";
const WRONG = "wrong secret 0815";

let folder: string;
const path = (name: string) => join(folder, name);
const keygen = (name: string, passphrase = "") =>
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", path(name)]);
const publicKey = (name: string) => readFileSync(path(`${name}.pub`), "utf8");

/** The sshd that is in order, and others that are not. */
let sshd: Sshd;
let bare: Sshd;
let closed: Sshd;
let forced: Sshd;
let ended: Sshd;
let silent: Server;
let server: HostsServer;
const sockets = new Set<Socket>();

/** A server that takes connections and says this to each, or closes it at once. */
function mute(port: number, said?: string): Promise<Server> {
  const made = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    if (said === "") socket.destroy();
    else if (said) socket.write(said);
  });
  return new Promise((resolve) => made.listen(port, "127.0.0.1", () => resolve(made)));
}

const ports: Record<string, number> = {};
const uri = (at: { port: number } | number, key: string, knownHosts: string, user = "root") => {
  const port = typeof at === "number" ? at : at.port;
  return `qemu+ssh://${user}@127.0.0.1:${port}/system?keyfile=${key}&known_hosts=${knownHosts}`;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ssh-"));
  for (const name of ["stranger", "impostor"]) keygen(name);
  keygen("locked", SECRET);
  mkdirSync(path("bare"));
  for (const tool of ["sh", "env", "cat", "grep", "mktemp", "rm"]) {
    symlinkSync(`/usr/bin/${tool}`, path(`bare/${tool}`));
  }
  [sshd, bare, closed, forced, ended] = await Promise.all([
    startSshd(),
    startSshd({ config: [`SetEnv PATH=${path("bare")}`] }),
    startSshd(),
    startSshd({ config: ["ForceCommand echo 'This account is not available.'"] }),
    startSshd(),
  ]);
  const { key, knownHosts, port } = sshd;
  await closed.kill();
  for (const name of ["silent", "garbled", "slammed"]) ports[name] = await freePort();
  silent = await mute(ports.silent as number);
  await mute(ports.garbled as number, "HTTP/1.1 400 Bad Request\r\n\r\n");
  await mute(ports.slammed as number, "");
  await appendFile(join(sshd.home, ".ssh/authorized_keys"), publicKey("locked"));
  const name = `[127.0.0.1]:${port}`;
  writeFileSync(path("unknown"), "");
  writeFileSync(path("changed"), `${name} ${publicKey("impostor")}`);
  writeFileSync(path("revoked"), `@revoked * ${readFileSync(join(sshd.home, "host_ed25519.pub"))}`);
  copyFileSync(path("locked"), path("locked2"));
  await run("iptables", ["-A", "INPUT", "-p", "tcp", "--dport", `${ended.port}`, "-j", "DROP"]);
  server = await serveHosts(
    {
      good: sshd.uri(),
      unknown: uri(port, key, path("unknown")),
      changed: uri(port, key, path("changed")),
      revoked: uri(port, key, path("revoked")),
      stranger: uri(port, path("stranger"), knownHosts),
      user: uri(port, key, knownHosts, "nobody-here"),
      absent: uri(port, path("absent"), knownHosts),
      locked: uri(port, path("locked"), knownHosts),
      mistaken: uri(port, path("locked2"), knownHosts),
      opened: uri(port, path("locked"), knownHosts),
      bare: bare.uri(),
      closed: closed.uri(),
      forced: forced.uri(),
      dropped: ended.uri(),
      nameless: `qemu+ssh://root@kvm.invalid:${port}/system?keyfile=${key}&known_hosts=${path("named")}`,
      silent: uri(ports.silent as number, key, path("silent")),
      garbled: uri(ports.garbled as number, key, knownHosts),
      slammed: uri(ports.slammed as number, key, knownHosts),
      proxied: `qemu+ssh://proxied/system`,
    },
    "",
    {
      env: {
        HYPERSDK_SSH_PASSPHRASE_MISTAKEN: WRONG,
        HYPERSDK_SSH_PASSPHRASE_OPENED: SECRET,
      },
      files: { config: "Host proxied\n  ProxyCommand nc %h %p\n" },
    },
  );
});

afterAll(async () => {
  await server.stop();
  for (const socket of sockets) socket.destroy();
  await Promise.all([sshd, bare, closed, forced, ended].map((one) => one.stop()));
  await rm(folder, { recursive: true });
});

const said: string[] = [];
async function networks(alias: string) {
  const answer = await server.get(`/libvirt/networks?host=${alias}`);
  said.push(JSON.stringify(answer.body));
  return answer;
}

/** It fails as it should within 5 s, then at once; once mended, it answers. */
async function hindered(alias: string, message: RegExp, mend?: (said: string) => unknown) {
  const began = performance.now();
  const answer = await networks(alias);
  expect(performance.now() - began).toBeLessThan(slow(5000));
  expectError(answer, 503, "unreachable", message);
  expect(answer.body.error).toContain(`hypervisor ${alias}`);
  if (!mend) return;
  await mend(answer.body.error);
  await until(`${alias} answers again`, async () => (await networks(alias)).status === 200, 35);
}

/** A command that the message gives. */
const advised = (said: string, command: string) => {
  const found = new RegExp(`${command} [^)]*`).exec(said)?.[0];
  if (!found) throw new Error(`no ${command} in: ${said}`);
  return run("sh", ["-c", found]);
};

describe("the host's key", () => {
  test("unknown: refused, until it is recorded as the message says", () =>
    hindered(
      "unknown",
      /the host key of root@127.0.0.1:\d+ is ssh-ed25519 SHA256:\S+, and none is recorded for \[127.0.0.1\]:\d+ in .*unknown. Compare it on the host itself \(ssh-keygen -lf .*\), then record it: ssh-keyscan/,
      (said) => advised(said, "ssh-keyscan"),
    ));

  test("the message has the right fingerprint", async () => {
    const { stdout } = await run("ssh-keygen", ["-lf", join(sshd.home, "host_ed25519.pub")]);
    const { body } = await networks("changed");
    expect(body.error).toContain(stdout.split(" ")[1]);
  });

  test("changed: refused, until the old one is removed", () =>
    hindered(
      "changed",
      /but another one is recorded for \[127.0.0.1\]:\d+ in .*changed: somebody may be in between. If the host was really installed anew, remove the old key/,
      async (said) => {
        await advised(said, "ssh-keygen -R");
        const { stdout } = await run("ssh-keyscan", ["-p", `${sshd.port}`, "127.0.0.1"]);
        await appendFile(path("changed"), stdout);
      },
    ));

  test("revoked: refused", () =>
    hindered("revoked", /which .*revoked marks as revoked for .*; do not trust this host/, () =>
      copyFileSync(sshd.knownHosts, path("revoked")),
    ));
});

describe("the login", () => {
  test("a key that may not", () =>
    hindered(
      "stranger",
      /root@127.0.0.1:\d+ refuses the login with .*stranger. Check the user, and that its ~\/.ssh\/authorized_keys there holds the public key/,
      () => appendFile(join(sshd.home, ".ssh/authorized_keys"), publicKey("stranger")),
    ));

  test("a user that is not there", () =>
    hindered(
      "user",
      /nobody-here@127.0.0.1:\d+ refuses the login with .*id_ed25519. Check the user/,
    ));

  test("a key file that is not there", () =>
    hindered("absent", /keyfile .*absent does not exist/, () =>
      copyFileSync(sshd.key, path("absent")),
    ));

  test("an encrypted key, without passphrase or with a wrong one", {
    timeout: slow(60_000),
  }, async () => {
    await hindered(
      "locked",
      /locked is encrypted; put its passphrase into the environment as HYPERSDK_SSH_PASSPHRASE_LOCKED/,
    );
    await hindered("mistaken", /the passphrase in the environment does not open .*locked2/, () =>
      run("ssh-keygen", ["-q", "-p", "-P", SECRET, "-N", "", "-f", path("locked2")]),
    );
  });

  test("an encrypted key and its passphrase", async () => {
    expectSuccess(await networks("opened"));
  });

  test("a ProxyCommand", () =>
    hindered("proxied", /~\/.ssh\/config: ProxyCommand is not supported; use ProxyJump/));
});

describe("the way there", () => {
  test("no sshd", () =>
    hindered("closed", /nothing listens at root@127.0.0.1:\d+; is sshd running there\?/, () =>
      closed.start(),
    ));

  test("a name that cannot be resolved", async () => {
    const key = readFileSync(sshd.knownHosts, "utf8").split(" ").slice(1).join(" ");
    writeFileSync(path("named"), `[kvm.invalid]:${sshd.port} ${key}`);
    writeFileSync(path("hosts"), "127.0.0.1 localhost kvm.invalid\n");
    await hindered(
      "nameless",
      /the name in root@kvm.invalid:\d+ cannot be resolved/,
      () => run("mount", ["--bind", path("hosts"), "/etc/hosts"]), // the lab's alone
    ).finally(() => run("umount", ["/etc/hosts"]));
  });

  test("a host that drops what is sent to it", () =>
    hindered("dropped", /root@127.0.0.1:\d+ does not answer/, () =>
      run("iptables", ["-D", "INPUT", "-p", "tcp", "--dport", `${ended.port}`, "-j", "DROP"]),
    ));

  test("one that takes the connection and says nothing", async () => {
    let other: Sshd | undefined;
    await hindered("silent", /root@127.0.0.1:\d+ does not answer/, async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
      other = await startSshd({ port: ports.silent as number });
      const allowed = join(other.home, ".ssh/authorized_keys");
      await writeFile(allowed, readFileSync(`${sshd.key}.pub`));
      copyFileSync(other.knownHosts, path("silent"));
    }).finally(() => other?.stop());
  });

  test("one that speaks no SSH, and one that hangs up", async () => {
    await hindered("garbled", /root@127.0.0.1:\d+ does not answer/);
    await hindered(
      "slammed",
      /root@127.0.0.1:\d+ closed the connection before the login.*PerSourcePenalties.*try again in 15 s/,
    );
  });
});

describe("the other side", () => {
  test("no virsh", () =>
    hindered("bare", /virsh is not installed on hypervisor bare/, () =>
      symlinkSync("/usr/bin/virsh", path("bare/virsh")),
    ));

  test("an account without a shell", () =>
    hindered("forced", /hypervisor forced: no shell there: it ended with exit \d+/));

  test("no libvirtd", async () => {
    expectSuccess(await networks("good"));
    await stopLibvirtd();
    const why =
      /connect socket to '.*': (Connection refused|No such file.*); is libvirtd running there\?/;
    await hindered("good", why).finally(startLibvirtd);
    expectSuccess(await networks("good"));
  });
});

describe("a hypervisor that was not reached", () => {
  test("is left alone for a while, then tried again", async () => {
    await ended.kill();
    await until("the loss is known", async () => (await networks("dropped")).status === 503);
    const { body } = await networks("dropped");
    expect(body.error).toMatch(
      /nothing listens at .* \(tried (once|\d+ times); the next attempt is in \d+ s\)/,
    );
    await ended.start();
    const before = ended.log();
    const answers = await Promise.all(Array.from({ length: 20 }, () => networks("dropped")));
    for (const answer of answers) expectError(answer, 503, "unreachable", /the next attempt is in/);
    expect(ended.log()).toBe(before);
    await until("it is back", async () => (await networks("dropped")).status === 200, 35);
  });

  test("one login serves all who wait for it", async () => {
    await ended.kill();
    await ended.start();
    const logins = () => ended.log().match(/Accepted publickey/g)?.length ?? 0;
    const before = logins();
    await until("it is back", async () => (await networks("dropped")).status === 200, 35);
    const answers = await Promise.all(Array.from({ length: 20 }, () => networks("dropped")));
    for (const answer of answers) expectSuccess(answer);
    expect(logins() - before).toBe(1);
  });
});

test("secrets are nowhere: no log, no answer, no process", async () => {
  expectSuccess(await networks("opened"));
  const keys = ["locked", "stranger"].map((name) => readFileSync(path(name), "utf8"));
  const lines = [...keys, readFileSync(sshd.key, "utf8")].flatMap((key) =>
    key.split("\n").filter((line) => line.length > 20 && !line.startsWith("-----")),
  );
  expect(lines.length).toBeGreaterThan(8);
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const shown = processes.flatMap((pid) => {
    const files = Number(pid) === server.pid ? ["cmdline"] : ["cmdline", "environ"];
    return files.map((file) => readOr(`/proc/${pid}/${file}`));
  });
  expect(shown.join("")).toContain("HYPERSDK_ID=hypersdk-"); // the sessions are among them
  for (const text of [server.log(), sshd.log(), ...said, ...shown]) {
    for (const secret of [SECRET, WRONG, ...lines]) expect(text).not.toContain(secret);
  }
});

function readOr(file: string) {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return ""; // it has ended
  }
}
