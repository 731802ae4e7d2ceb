/** What ssh2 cannot do is said plainly: certificates of users and of hosts. And a shell that is slow to come. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { type Sshd, startSshd } from "../../lab/sshd.ts";

const folder = mkdtempSync(join(tmpdir(), "certificates-"));
const path = (name: string) => join(folder, name);
const keygen = (...args: string[]) => execFileSync("ssh-keygen", ["-q", ...args]);
let sshd: Sshd;
let slow: Sshd;
beforeAll(async () => {
  for (const name of ["authority", "beside", "key"]) {
    keygen("-t", "ed25519", "-N", "", "-C", "", "-f", path(name));
  }
  keygen("-s", path("authority"), "-I", "test", "-n", "root", path("beside.pub"));
  const trust = [`TrustedUserCAKeys ${path("authority.pub")}`];
  const delay = 'ForceCommand sleep 3; exec sh -c "$SSH_ORIGINAL_COMMAND"';
  [sshd, slow] = await Promise.all([startSshd({ config: trust }), startSshd({ config: [delay] })]);
});
afterAll(async () => {
  await Promise.all([sshd.stop(), slow.stop()]);
  rmSync(folder, { recursive: true });
});

let server: HostsServer;
afterEach(() => server.stop());
const networks = () => server.get("/libvirt/networks?host=kvm1");
const uri = (key?: string, known = sshd.knownHosts) =>
  `qemu+ssh://root@127.0.0.1:${sshd.port}/system?known_hosts=${known}${key ? `&keyfile=${key}` : ""}`;

test("OpenSSH itself logs in with the certificate", async () => {
  const options = ["-p", `${sshd.port}`, "-i", path("beside"), "-o", "BatchMode=yes"];
  const known = ["-o", `UserKnownHostsFile=${sshd.knownHosts}`];
  execFileSync("ssh", [...options, ...known, "root@127.0.0.1", "true"]);
  server = await serveHosts({});
});

test("a certificate beside the key", async () => {
  server = await serveHosts({ kvm1: uri(path("beside")) });
  const message =
    /refuses the login with .*beside; OpenSSH certificates are not supported \(.*beside-cert.pub\)/;
  expectError(await networks(), 503, "unreachable", message);
});

test("CertificateFile in ssh_config", async () => {
  const config = `Host *\n IdentityFile ${path("key")}\n CertificateFile ${path("beside-cert.pub")}\n`;
  server = await serveHosts({ kvm1: uri() }, "", { files: { config } });
  const message = /OpenSSH certificates are not supported \(.*beside-cert.pub\)/;
  expectError(await networks(), 503, "unreachable", message);
});

test("a certificate in the ssh-agent", async () => {
  const socket = path("agent");
  const started = execFileSync("ssh-agent", ["-a", socket], { encoding: "utf8" });
  try {
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    execFileSync("ssh-add", ["-q", path("beside")], { env });
    server = await serveHosts({ kvm1: uri() }, "", { env: { SSH_AUTH_SOCK: socket } });
    const message =
      /the ssh-agent; OpenSSH certificates are not supported \(one in the ssh-agent\)/;
    expectError(await networks(), 503, "unreachable", message);
  } finally {
    process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]));
  }
});

test("a keyfile that is a certificate", async () => {
  server = await serveHosts({ kvm1: uri(path("beside-cert.pub")) });
  const message =
    /beside-cert.pub is an OpenSSH certificate; OpenSSH certificates are not supported/;
  expectError(await networks(), 503, "unreachable", message);
});

test("without a certificate nothing is said of them", async () => {
  server = await serveHosts({ kvm1: uri(path("key")) });
  const { body } = await networks();
  expect(body.error).toMatch(/refuses the login with .*key\. Check the user/);
  expect(body.error).not.toMatch(/OpenSSH certificate/);
});

test("a host that is known by its authority alone, until its key is recorded", async () => {
  const known = path("known");
  writeFileSync(known, `@cert-authority * ${readFileSync(path("authority.pub"), "utf8")}`);
  server = await serveHosts({ kvm1: uri(sshd.key, known) });
  const message =
    /is ssh-ed25519 SHA256:\S+, and only an authority \(@cert-authority\) is recorded for \[127.0.0.1\]:\d+; OpenSSH certificates are not supported\. .* then record it: ssh-keyscan/;
  expectError(await networks(), 503, "unreachable", message);
  await appendFile(known, readFileSync(sshd.knownHosts));
  await server.stop();
  server = await serveHosts({ kvm1: uri(sshd.key, known) });
  expectSuccess(await networks());
});

test("a profile that takes longer than the timeout: the login was good", async () => {
  server = await serveHosts({ kvm1: slow.uri() }, "[ssh]\ntimeout = 1.5\n");
  const message =
    /kvm1: no shell there: the login as root@127.0.0.1:\d+ succeeded, but its shell does not answer within 1.5 s. .*raise timeout in \[ssh\]/;
  expectError(await networks(), 503, "unreachable", message);
  await server.stop();
  server = await serveHosts({ kvm1: slow.uri() }, "[ssh]\ntimeout = 20\n");
  expectSuccess(await networks());
});
