/** Where an SSH host is: its URI, and ~/.ssh/config as OpenSSH itself reads it. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { sshUriProblem } from "../../../../runtime/core/libvirt-uri.ts";
import { sshTarget, type Target } from "../../../../runtime/hypervisor/ssh/target.ts";

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
const paths = ({ keys }: Target) => keys.map(({ path }) => path);

describe("URIs", () => {
  test.each<[string, Partial<Target>]>([
    ["qemu+ssh://kvm1/system", { host: "kvm1", port: 22, user: "me" }],
    ["qemu+ssh://root@kvm1:2222/system", { host: "kvm1", port: 2222, user: "root" }],
    ["qemu+ssh://a%40b@kvm1.example.org/system", { host: "kvm1.example.org", user: "a@b" }],
    ["qemu+ssh://root@192.0.2.7/system", { host: "192.0.2.7" }],
    ["qemu+ssh://root@[2001:db8::7]/system", { host: "2001:db8::7", port: 22 }],
    ["qemu+ssh://root@[::1]:2222/system", { host: "::1", port: 2222 }],
  ])("%s", (uri, target) => {
    expect(sshUriProblem(uri)).toBeUndefined();
    expect(targetOf(uri)).toMatchObject(target);
  });

  test("without anything said: the user's own keys and record, and no agent", () => {
    expect(targetOf("qemu+ssh://kvm1/system")).toEqual({
      host: "kvm1",
      port: 22,
      user: "me",
      keys: ["id_ed25519", "id_ecdsa", "id_rsa"].map((name) => ({
        path: own(name),
        required: false,
      })),
      agent: undefined,
      knownHosts: [own("known_hosts"), "/etc/ssh/ssh_known_hosts"],
      hostKeyAlias: undefined,
      jump: undefined,
    });
  });

  test("keyfile and known_hosts are these and no others", () => {
    const uri = "qemu+ssh://kvm1/system?keyfile=/keys/one%20key&known_hosts=~/record";
    write("Host *\n IdentityFile ~/.ssh/other\n UserKnownHostsFile /other\n");
    const target = targetOf(uri);
    expect(target.keys).toEqual([{ path: "/keys/one key", required: true }]);
    expect(target.knownHosts).toEqual([join(home, "record")]);
  });
});

describe("~/.ssh/config", () => {
  test("says what the URI does not", () => {
    write("Host kvm1\n HostName kvm1.example.org\n User admin\n Port 2200\n");
    const kvm1 = { host: "kvm1.example.org", port: 2200, user: "admin" };
    expect(targetOf("qemu+ssh://kvm1/system")).toMatchObject(kvm1);
    expect(targetOf("qemu+ssh://root@kvm1:22/system")).toMatchObject({
      host: "kvm1.example.org",
      port: 22,
      user: "root",
    });
    expect(targetOf("qemu+ssh://kvm2/system")).toMatchObject({ host: "kvm2", user: "me" });
  });

  test("keys: all that are named, in order, and with %h, %r, %d and ~", () => {
    write(
      'Host *\n HostName %h.example.org\n User admin\n IdentityFile ~/.ssh/%r@%h\n IdentityFile %d/k\n IdentityFile "/a b/key"\n',
    );
    const target = targetOf("qemu+ssh://kvm1/system");
    const expected = [own("admin@kvm1.example.org"), join(home, "k"), "/a b/key"];
    expect(paths(target)).toEqual(expected);
    expect(target.keys.every(({ required }) => !required)).toBe(true);
  });

  test("the record of host keys, and the name in it", () => {
    write("Host kvm1\n UserKnownHostsFile ~/.ssh/one %d/two\n HostKeyAlias cluster\n");
    expect(targetOf("qemu+ssh://kvm1/system")).toMatchObject({
      knownHosts: [own("one"), join(home, "two"), "/etc/ssh/ssh_known_hosts"],
      hostKeyAlias: "cluster",
    });
  });

  test.each<[string, string, string | undefined]>([
    ["the environment's", "", "/run/agent"],
    ["none, when only the files count", "Host *\n IdentitiesOnly yes\n", undefined],
    ["another", "Host *\n IdentityAgent ~/.agent\n", join(home, ".agent")],
    ["the environment's, by name", "Host *\n IdentityAgent SSH_AUTH_SOCK\n", "/run/agent"],
    ["the environment's, as a variable", "Host *\n IdentityAgent $SSH_AUTH_SOCK\n", "/run/agent"],
    ["none", "Host *\n IdentityAgent none\n", undefined],
  ])("the agent: %s", (_what, config, agent) => {
    vi.stubEnv("SSH_AUTH_SOCK", "/run/agent");
    write(config);
    expect(targetOf("qemu+ssh://kvm1/system").agent).toBe(agent);
  });

  test("Match user is the URI's", () => {
    write("Match user root\n Port 9\n");
    expect(targetOf("qemu+ssh://root@kvm1/system").port).toBe(9);
    expect(targetOf("qemu+ssh://admin@kvm1/system").port).toBe(22);
  });

  test("jump hosts, in order, each with its own section", () => {
    write(`Host kvm1
 ProxyJump admin@gate:2200, inner
Host gate
 HostName gate.example.org
 User nobody
Host inner
 Port 2300
`);
    const { jump } = targetOf("qemu+ssh://root@kvm1/system") as { jump: Target };
    expect(jump).toMatchObject({ host: "inner", port: 2300, user: "me" });
    expect(jump.jump).toMatchObject({
      host: "gate.example.org",
      port: 2200,
      user: "admin",
      jump: undefined,
    });
  });

  test("a jump host that has one itself", () => {
    write("Host kvm1\n ProxyJump inner\nHost inner\n ProxyJump ssh://[2001:db8::1]:2200\n");
    const { jump } = targetOf("qemu+ssh://kvm1/system");
    expect(jump).toMatchObject({ host: "inner", jump: { host: "2001:db8::1", port: 2200 } });
  });

  test.each<[string, string, RegExp]>([
    ["a circle", "Host *\n ProxyJump gate\n", /ProxyJump goes round in circles/],
    ["no host", "Host *\n ProxyJump a@:1\n", /ProxyJump a@:1 cannot be read/],
    [
      "a command",
      "Host *\n ProxyCommand nc %h %p\n",
      /hypervisor first: ~\/.ssh\/config: ProxyCommand is not supported; use ProxyJ/,
    ],
  ])("%s is refused", (_what, config, message) => {
    write(config);
    const uri = "qemu+ssh://kvm1/system";
    expect(() => targetOf(uri)).toThrow(expect.objectContaining({ code: "unreachable" }));
    expect(() => targetOf(uri)).toThrow(message);
  });

  test("ProxyJump none and ProxyCommand none are none", () => {
    write("Host kvm1\n ProxyJump none\n ProxyCommand none\nHost *\n ProxyJump gate\n");
    expect(targetOf("qemu+ssh://kvm1/system").jump).toBeUndefined();
  });

  test("what it includes, by pattern, and again in there", () => {
    mkdirSync(own("config.d"));
    write("Include config.d/*.conf\nHost kvm1\n User late\n Port 1\n");
    write("Host kvm1\n User first\n", "config.d/a.conf");
    write(`Include "${own("config.d/deep")}"\n`, "config.d/b.conf");
    write("Host kvm2\n User deep\n", "config.d/deep");
    expect(targetOf("qemu+ssh://kvm1/system")).toMatchObject({ user: "first", port: 1 });
    expect(targetOf("qemu+ssh://kvm2/system")).toMatchObject({ user: "deep" });
  });

  test("what includes itself ends", () => {
    write("Include config\nHost kvm1\n User admin\n");
    expect(targetOf("qemu+ssh://kvm1/system").user).toBe("admin");
  });

  test("a file that cannot be read as one is named", () => {
    write('Host "kvm1\n');
    expect(() => targetOf("qemu+ssh://kvm1/system")).toThrow(
      /^hypervisor first: ~\/\.ssh\/config cannot be read: /,
    );
  });
});

/** What `ssh -G` makes of the same file. */
function openssh(host: string): Pick<Target, "host" | "port" | "user" | "hostKeyAlias"> {
  const said = execFileSync("ssh", ["-T", "-G", "-F", own("config"), host], { encoding: "utf8" });
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
  ])("%s", (_what, config) => {
    vi.stubEnv("USER", me);
    write(config.replace("Include more", `Include ${own("more")}`));
    write("Host kvm2\n User b\n HostName y\n", "more");
    for (const host of ["kvm1", "kvm2"]) {
      expect(targetOf(`qemu+ssh://${host}/system`)).toMatchObject(openssh(host));
    }
  });
});
