/** Where an SSH host is: its URI, and ~/.ssh/config as OpenSSH itself reads it. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { sshUriProblem } from "../../../../runtime/core/libvirt-uri.ts";
import { log } from "../../../../runtime/core/log.ts";
import { type SshTarget, sshTarget } from "../../../../runtime/hypervisor/ssh/target.ts";

const home = mkdtempSync(join(tmpdir(), "hypersdk-ssh-home-"));
const folder = join(home, ".ssh");
beforeEach(() => {
  mkdirSync(folder, { recursive: true });
  vi.stubEnv("HOME", home);
  vi.stubEnv("USER", "me");
  vi.stubEnv("SSH_AUTH_SOCK", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});
afterAll(() => rmSync(home, { recursive: true }));

const targetOf = (uri: string) => sshTarget(uri, "first");
const write = (text: string, file = "config") => writeFileSync(join(folder, file), text);
const own = (name: string) => join(folder, name);
const paths = ({ keys }: SshTarget) => keys.map(({ path }) => path);

const ssh = (...args: string[]) => execFileSync("ssh", ["-T", "-G", ...args], { encoding: "utf8" });

describe("URIs", () => {
  test.each<[string, Partial<SshTarget>]>([
    ["qemu+ssh://kvm1/system", { host: "kvm1", port: 22, user: "me" }],
    ["qemu+ssh://root@kvm1:2222/system", { host: "kvm1", port: 2222, user: "root" }],
    ["qemu+ssh://a%40b@kvm1.example.org/system", { host: "kvm1.example.org", user: "a@b" }],
    ["qemu+ssh://root@192.0.2.7/system", { host: "192.0.2.7" }],
    ["qemu+ssh://root@[2001:db8::7]/system", { host: "2001:db8::7", port: 22 }],
    ["qemu+ssh://root@[::1]:2222/system", { host: "::1", port: 2222 }],
  ])("%s", async (uri, target) => {
    expect(sshUriProblem(uri)).toBeUndefined();
    expect(await targetOf(uri)).toMatchObject(target);
  });

  test("without anything said: the user's own keys and record, and no agent", async () => {
    const { keys, ...target } = await targetOf("qemu+ssh://kvm1/system");
    expect(target).toEqual({
      host: "kvm1",
      port: 22,
      user: "me",
      agent: undefined,
      identitiesOnly: false,
      knownHosts: [
        own("known_hosts"),
        own("known_hosts2"),
        "/etc/ssh/ssh_known_hosts",
        "/etc/ssh/ssh_known_hosts2",
      ],
      certificates: [],
      hostKeyAlias: undefined,
      jump: undefined,
      notRead: undefined,
    });
    const defaults = [...ssh("-F", "none", "kvm1").matchAll(/^identityfile ~\/\.ssh\/(.*)$/gm)];
    expect(keys).toEqual(defaults.map(([, name]) => ({ path: own(`${name}`), required: false })));
    for (const name of ["id_ed25519", "id_ecdsa", "id_rsa"]) {
      expect(keys).toContainEqual({ path: own(name), required: false });
    }
  });

  test("keyfile and known_hosts are these and no others", async () => {
    const uri = "qemu+ssh://kvm1/system?keyfile=/keys/one%20key&known_hosts=~/record";
    write("Host *\n IdentityFile ~/.ssh/other\n UserKnownHostsFile /other\n");
    const target = await targetOf(uri);
    expect(target.keys).toEqual([{ path: "/keys/one key", required: true }]);
    expect(target.knownHosts).toEqual([join(home, "record")]);
  });
});

describe("~/.ssh/config", () => {
  test("says what the URI does not", async () => {
    write("Host kvm1\n HostName kvm1.example.org\n User admin\n Port 2200\n");
    const kvm1 = { host: "kvm1.example.org", port: 2200, user: "admin" };
    expect(await targetOf("qemu+ssh://kvm1/system")).toMatchObject(kvm1);
    expect(await targetOf("qemu+ssh://root@kvm1:22/system")).toMatchObject({
      host: "kvm1.example.org",
      port: 22,
      user: "root",
    });
    expect(await targetOf("qemu+ssh://kvm2/system")).toMatchObject({ host: "kvm2", user: "me" });
  });

  test("keys: all that are named, in order, and with %h, %r, %d and ~", async () => {
    write(
      'Host *\n HostName %h.example.org\n User admin\n IdentityFile ~/.ssh/%r@%h\n IdentityFile %d/k\n IdentityFile "/a b/key"\n',
    );
    const target = await targetOf("qemu+ssh://kvm1/system");
    const expected = [own("admin@kvm1.example.org"), join(home, "k"), "/a b/key"];
    expect(paths(target)).toEqual(expected);
    expect(target.keys.every(({ required }) => !required)).toBe(true);
  });

  test("the record of host keys, and the name in it", async () => {
    write("Host kvm1\n UserKnownHostsFile ~/.ssh/one %d/two\n HostKeyAlias cluster\n");
    expect(await targetOf("qemu+ssh://kvm1/system")).toMatchObject({
      knownHosts: [
        own("one"),
        join(home, "two"),
        "/etc/ssh/ssh_known_hosts",
        "/etc/ssh/ssh_known_hosts2",
      ],
      hostKeyAlias: "cluster",
    });
  });

  test.each<[string, string, string | undefined]>([
    ["the environment's", "", "/run/agent"],
    ["also when the files name its keys", "Host *\n IdentitiesOnly yes\n", "/run/agent"],
    [
      "a folder of the environment's",
      `Host *\n IdentityAgent \${XDG_RUNTIME_DIR}/a\n`,
      "/run/me/a",
    ],
    ["another", "Host *\n IdentityAgent ~/.agent\n", join(home, ".agent")],
    ["the environment's, by name", "Host *\n IdentityAgent SSH_AUTH_SOCK\n", "/run/agent"],
    ["the environment's, as a variable", "Host *\n IdentityAgent $SSH_AUTH_SOCK\n", "/run/agent"],
    ["none", "Host *\n IdentityAgent none\n", undefined],
  ])("the agent: %s", async (_what, config, agent) => {
    vi.stubEnv("SSH_AUTH_SOCK", "/run/agent");
    vi.stubEnv("XDG_RUNTIME_DIR", "/run/me");
    write(config);
    expect((await targetOf("qemu+ssh://kvm1/system")).agent).toBe(agent);
  });

  test("Match user is the URI's", async () => {
    write("Match user root\n Port 9\n");
    expect((await targetOf("qemu+ssh://root@kvm1/system")).port).toBe(9);
    expect((await targetOf("qemu+ssh://admin@kvm1/system")).port).toBe(22);
  });

  test("jump hosts, in order, each with its own section", async () => {
    write(`Host kvm1
 ProxyJump admin@gate:2200,inner
Host gate
 HostName gate.example.org
 User nobody
Host inner
 Port 2300
`);
    const { jump } = (await targetOf("qemu+ssh://root@kvm1/system")) as { jump: SshTarget };
    expect(jump).toMatchObject({ host: "inner", port: 2300, user: "me" });
    expect(jump.jump).toMatchObject({
      host: "gate.example.org",
      port: 2200,
      user: "admin",
      jump: undefined,
    });
  });

  test("a jump host that has one itself", async () => {
    write("Host kvm1\n ProxyJump inner\nHost inner\n ProxyJump [2001:db8::1]:2200\n");
    const { jump } = await targetOf("qemu+ssh://kvm1/system");
    expect(jump).toMatchObject({ host: "inner", jump: { host: "2001:db8::1", port: 2200 } });
  });

  test.each<[string, string, RegExp]>([
    ["a circle of one", "Host *\n ProxyJump gate\n", /jumphost loop via gate/],
    [
      "a circle",
      "Host kvm1 b\n ProxyJump a\nHost a\n ProxyJump b\n",
      /ProxyJump goes round in circles/,
    ],
    [
      "no host",
      "Host *\n ProxyJump a@:1\n",
      /~\/.ssh\/config cannot be read: line 2: Invalid ProxyJump "a@:1"/,
    ],
    [
      "a command",
      "Host *\n ProxyCommand nc %h %p\n",
      /hypervisor first: ~\/.ssh\/config: ProxyCommand is not supported; use ProxyJ/,
    ],
  ])("%s is refused", async (_what, config, message) => {
    write(config);
    const refused = targetOf("qemu+ssh://kvm1/system");
    await expect(refused).rejects.toMatchObject({ code: "unreachable" });
    await expect(refused).rejects.toThrow(message);
  });

  test("ProxyJump none and ProxyCommand none are none", async () => {
    write("Host kvm1\n ProxyJump none\n ProxyCommand none\nHost *\n ProxyJump gate\n");
    expect((await targetOf("qemu+ssh://kvm1/system")).jump).toBeUndefined();
  });

  test("what it includes, by pattern, and again in there", async () => {
    mkdirSync(own("config.d"));
    write("Include config.d/*.conf\nHost kvm1\n User late\n Port 1\n");
    write("Host kvm1\n User first\n", "config.d/a.conf");
    write(`Include "${own("config.d/deep")}"\n`, "config.d/b.conf");
    write("Host kvm2\n User deep\n", "config.d/deep");
    expect(await targetOf("qemu+ssh://kvm1/system")).toMatchObject({ user: "first", port: 1 });
    expect(await targetOf("qemu+ssh://kvm2/system")).toMatchObject({ user: "deep" });
  });

  test("what includes itself is refused, as OpenSSH does", async () => {
    write(`Include ${own("config")}\nHost kvm1\n User admin\n`);
    await expect(targetOf("qemu+ssh://kvm1/system")).rejects.toThrow(
      /config cannot be read: Too many recursive configuration includes/,
    );
  });

  test("a file that cannot be read as one is named", async () => {
    write('Host "kvm1\n');
    await expect(targetOf("qemu+ssh://kvm1/system")).rejects.toThrow(
      /^hypervisor first: ~\/\.ssh\/config cannot be read: line 1: /,
    );
  });

  test("Match exec, with a command that applies and one that does not", async () => {
    write('Match exec "test %n = kvm1"\n Port 9\nMatch exec "false"\n User no\n');
    expect(await targetOf("qemu+ssh://kvm1/system")).toMatchObject({ port: 9, user: "me" });
    expect((await targetOf("qemu+ssh://kvm2/system")).port).toBe(22);
  });

  test("Match exec sees no passphrase of ours", async () => {
    vi.stubEnv("HYPERSDK_SSH_PASSPHRASE", "open sesame");
    write('Match exec "env | grep -q HYPERSDK_SSH_"\n Port 9\n');
    expect((await targetOf("qemu+ssh://kvm1/system")).port).toBe(22);
  });

  test("variables of the environment in every path, and tokens", async () => {
    vi.stubEnv("KEYS", "/srv/keys");
    write(`Host *
 User admin
 IdentityFile \${KEYS}/%n-%r-%p-%%
 IdentityAgent \${KEYS}/agent
 UserKnownHostsFile \${KEYS}/known %d/known
 GlobalKnownHostsFile /etc/known1 /etc/known2
`);
    expect(await targetOf("qemu+ssh://kvm1:99/system")).toMatchObject({
      keys: [{ path: "/srv/keys/kvm1-admin-99-%", required: false }],
      agent: "/srv/keys/agent",
      knownHosts: ["/srv/keys/known", join(home, "known"), "/etc/known1", "/etc/known2"],
    });
  });

  test("a variable that is not set is named", async () => {
    write(`Host *\n IdentityFile \${NO_SUCH_VARIABLE}/key\n`);
    await expect(targetOf("qemu+ssh://kvm1/system")).rejects.toThrow(
      /hypervisor first: \$\{NO_SUCH_VARIABLE\}\/key: the environment has no variable NO_SUCH_VARIABLE/,
    );
  });
});

describe("OpenSSH itself", () => {
  const bin = mkdtempSync(join(tmpdir(), "hypersdk-ssh-bin-"));
  afterAll(() => rmSync(bin, { recursive: true }));
  /** An `ssh` that is all that PATH has. */
  const fakeSsh = (script: string) => {
    writeFileSync(join(bin, "ssh"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv("PATH", bin);
  };

  test("reads its own files where HOME is the registered home", async () => {
    const passwd = readFileSync("/etc/passwd", "utf8").split("\n");
    const registered = passwd.find((line) => line.split(":")[2] === `${process.getuid?.()}`);
    vi.stubEnv("HOME", registered?.split(":")[5]);
    fakeSsh('echo "hostname $*"');
    expect((await targetOf("qemu+ssh://root@kvm1:22/system")).host).toBe(
      "-T -G -p 22 -l root -- kvm1",
    );
    expect((await targetOf("qemu+ssh://kvm1/system")).host).toBe("-T -G -- kvm1");
  });

  test.each<[string, string | undefined, RegExp]>([
    ["is not installed", undefined, /ssh is not installed on this machine/],
    ["does not know its user", "echo No user exists for uid 7 >&2; exit 255", /No user exists for/],
  ])("%s: the URI and the defaults count, and the log says so once", async (_what, script, why) => {
    if (script) fakeSsh(script);
    else vi.stubEnv("PATH", "/nonexistent");
    const warn = vi.spyOn(log, "warn");
    const uri = "qemu+ssh://root@kvm1:2200/system";
    expect((await targetOf(uri)).notRead).toBeUndefined(); // there is nothing to read
    write("Host kvm1\n Port 9\n User no\n HostName no\n");
    const target = await targetOf(uri);
    expect(target).toMatchObject({ host: "kvm1", port: 2200, user: "root" });
    expect(target.notRead).toMatch(/^~\/\.ssh\/config was not read: /);
    expect(target.notRead).toMatch(why);
    expect(paths(target)).toEqual(["id_ed25519", "id_ecdsa", "id_rsa"].map(own));
    await targetOf(uri);
    expect(warn.mock.calls.length).toBeLessThanOrEqual(1);
    warn.mockRestore();
  });

  test("ends with its connection", async () => {
    fakeSsh("while :; do :; done");
    const asked = sshTarget("qemu+ssh://kvm1/system", "first", AbortSignal.timeout(100));
    await expect(asked).rejects.toMatchObject({ code: "cancelled" });
  });

  test.each([
    "qemu+ssh://-oProxyCommand=x/system",
    "qemu+ssh://a%60id%60/system",
    "qemu+ssh://a%24(id)/system",
    "qemu+ssh://a%20b/system",
    "qemu+ssh://root%40x@a%0Ab/system",
    "qemu+ssh://-oFoo@kvm1/system",
    "qemu+ssh://a;b@kvm1/system",
    "qemu+ssh://a'b@kvm1/system",
  ])("is not asked of %s", async (uri) => {
    fakeSsh(`touch ${join(bin, "asked")}`);
    await expect(targetOf(uri)).rejects.toThrow(
      /^hypervisor first: the (host|user) name .* is not valid/,
    );
    expect(existsSync(join(bin, "asked"))).toBe(false);
  });
});

/** What `ssh -G` makes of the same file. */
function openssh(host: string): Pick<SshTarget, "host" | "port" | "user" | "hostKeyAlias"> {
  const said = ssh("-F", own("config"), host);
  const value = (key: string) => new RegExp(`^${key} (.*)$`, "m").exec(said)?.[1];
  const [user = "", port] = [value("user"), value("port")];
  return {
    host: value("hostname") ?? "",
    port: Number(port),
    user,
    hostKeyAlias: value("hostkeyalias"),
  };
}

describe("as OpenSSH reads it", () => {
  const me = execFileSync("id", ["-un"], { encoding: "utf8" }).trim();
  test.each<[string, string]>([
    ["the first value counts", "Host k*\n User a\nHost *\n User b\n Port 7\n"],
    ["what stands before any host", "User a\nHost kvm1\n User b\n Port 9\n"],
    ["keywords in any case", "host kvm1\n hostname x\n USER a\n pOrT 9\n hostkeyalias z\n"],
    ["= and quotes", 'Host="kvm1"\n HostName = "x"\n User="a"\n Port=9\n'],
    ["comments", "# Host kvm1\nHost kvm1 # User z\n User a\n  # Port 1\n"],
    ["negated patterns", "Host * !kvm1\n User no\nHost * !kvm2\n User yes\n"],
    ["several patterns", "Host x kvm? y\n User a\n"],
    ["what matches not", "Host kvm10\n User a\nHost KVM1\n Port 9\n"],
    ["Match host", "Match host kvm1\n User a\nMatch all\n Port 9\n"],
    ["Match originalhost", "Host kvm1\n HostName x\nMatch originalhost kvm1\n Port 9\n"],
    ["CRLF", "Host kvm1\r\n User a\r\n Port 9\r\n"],
    ["tabs, and no newline at the end", "Host\tkvm1\n\tUser\ta\n\tPort\t9"],
    ["nothing", ""],
    [
      "an Include does not end what it stands in",
      "Host kvm1\n Include more\n Port 9\nHost other\n User no\n",
    ],
    ["an Include in a section of another host", "Host other\n Include more\n Port 9\n"],
    ["an Include in Match", "Match host kvm2\n Include more\n Port 9\nMatch all\n User z\n"],
    ["an Include ends with its file", "Include more\nPort 9\n"],
    ["an Include of what is not there", "Include nothing/*\nHost kvm1\n User a\n"],
  ])("%s", async (_what, config) => {
    vi.stubEnv("USER", me);
    write(config.replace("Include more", `Include ${own("more")}`));
    write("Host kvm2\n User b\n HostName y\n", "more");
    for (const host of ["kvm1", "kvm2"]) {
      expect(await targetOf(`qemu+ssh://${host}/system`)).toMatchObject(openssh(host));
    }
  });
});
