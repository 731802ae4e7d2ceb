/** What runs over an SSH connection: commands, texts, sessions; that nothing of it stays behind, whatever happens. */
import { execFile, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sshTransport } from "../../../runtime/hypervisor/ssh/transport.ts";
import type { ExecOptions, Transport } from "../../../runtime/hypervisor/transport.ts";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import {
  clean,
  defineNetwork,
  expectError,
  expectSuccess,
  processes,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { commandOf, connections, type Sshd, startSshd, tree } from "../../lab/sshd.ts";

const run = promisify(execFile);
const SETTINGS = { timeout: 4, keepalive: 1, idle: 300, logins: 4 };

let folder: string;
let sshd: Sshd;
/** Its TMPDIR on the other side. */
let tmp: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ssh-channels-"));
  tmp = join(folder, "it's tmp");
  mkdirSync(tmp);
  sshd = await startSshd({ config: [`SetEnv "TMPDIR=${tmp}"`, "MaxSessions 10"] });
});
afterAll(async () => {
  await sshd.stop();
  await rm(folder, { recursive: true });
});

/** What sshd and its children run, by name. */
const there = () => tree(sshd.pid()).map(commandOf).slice(1);
const nothingThere = () =>
  until("nothing is left there", () => there().length === 0 && readdirSync(tmp).length === 0).catch(
    (error) => expect({ there: there(), tmp: readdirSync(tmp) }, error.message).toEqual({}),
  );

/** Swallow what goes to sshd and comes from it, without a word to either side. */
const RULES = ["--dport", "--sport"].map((option) => (verb: string) => [
  ...[verb, "INPUT", "-p", "tcp", option, `${sshd.port}`, "-j", "DROP"],
]);
const cut = async () => {
  for (const rule of RULES) await run("iptables", rule("-I"));
};
const mend = async () => {
  for (const rule of RULES) await run("iptables", rule("-D"));
};

describe("commands", () => {
  let kvm1: Transport;
  const made: Transport[] = [];
  const transport = (settings = SETTINGS) => {
    const one = sshTransport("kvm1", sshd.uri(), settings);
    made.push(one);
    return one;
  };
  const sh = (script: string, options: Partial<ExecOptions> = {}, on = kvm1) =>
    on.exec(["sh", "-c", script], { timeout: 10_000, ...options });
  beforeEach(() => {
    kvm1 = transport();
  });
  afterEach(async () => {
    for (const one of made.splice(0)) await one.close();
    await nothingThere();
    expect(processes("sleep")).toEqual([]);
  });

  test("answer what they wrote and their exit code", async () => {
    const result = { stdout: "out\n", stderr: "err\n", exitCode: 3 };
    expect(await sh("echo out; echo err >&2; exit 3")).toEqual(result);
    expect((await sh("kill -9 $$")).exitCode).not.toBe(0);
    expect((await sh("exit 127")).exitCode).toBe(127);
  });

  test("tell their output as it comes", async () => {
    const go = join(folder, "go");
    await run("mkfifo", [go]);
    const told: string[] = [];
    const onOutput = (text: string, stream: string) => {
      told.push(`${stream}: ${text}`);
      // the program goes on once the first line was told
      if (told.length === 1) writeFileSync(go, "three\n");
    };
    const answer = await sh(`echo one; read -r line <'${go}'; echo two >&2; echo "$line"`, {
      onOutput,
    });
    expect(answer).toEqual({ stdout: "one\nthree\n", stderr: "two\n", exitCode: 0 });
    expect(told[0]).toBe("stdout: one\n");
    expect(told.slice(1).sort()).toEqual(["stderr: two\n", "stdout: three\n"]);
  });

  test("get their words as they are", async () => {
    const words = [
      "$(id)",
      "`id`",
      "a b",
      "'",
      '"',
      "*",
      ";",
      "&",
      "|",
      "!x",
      "\\",
      "~",
      "ü",
      "",
      "-n",
      "a\nb",
    ];
    const { stdout } = await kvm1.exec(["printf", "[%s]", ...words], { timeout: 10_000 });
    expect(stdout).toBe(words.map((one) => `[${one}]`).join(""));
  });

  test("get their input, or none", async () => {
    const input = "ü\\0'\n".repeat(50_000);
    expect((await sh("cat", { input })).stdout).toBe(input);
    expect((await sh("cat")).stdout).toBe("");
    expect((await sh("exec <&-; echo unread", { input })).stdout).toBe("unread\n");
  });

  test("run in English, and for this hypervisor", async () => {
    const { stdout } = await kvm1.exec(["env"], { timeout: 10_000 });
    expect(stdout).toMatch(/^LC_ALL=C$/m);
    expect(stdout).toMatch(/^LIBVIRT_DEFAULT_URI=qemu:\/\/\/system$/m);
    expect(stdout).not.toMatch(/HYPERSDK_SSH_|^LANGUAGE=/m);
  });

  test("that are not there are named", async () => {
    await expect(kvm1.exec(["qemu-imgx"], { timeout: 10_000 })).rejects.toMatchObject({
      code: "unsupported",
      message: "qemu-imgx is not installed on hypervisor kvm1",
    });
  });

  const SLEEPERS = "sleep 300 & sleep 301 & sh -c 'sleep 302' & wait";
  const sleeping = () => until("it runs", () => processes("sleep").length === 3);
  const ended = () => until("it has ended", () => processes("sleep").length === 0);

  test("that take too long end there with all they started", async () => {
    const call = sh(SLEEPERS, { timeout: 700 });
    await Promise.all([
      expect(call).rejects.toMatchObject({
        code: "timed_out",
        message: "sh took longer than 0.7 s",
      }),
      sleeping(),
    ]);
    await ended();
  });

  test.each([10_000, 100_000])("whose caller leaves too (%d ms)", async (timeout) => {
    const caller = new AbortController();
    const call = sh(SLEEPERS, { timeout, signal: caller.signal });
    call.catch(() => {});
    await sleeping();
    caller.abort();
    await expect(call).rejects.toMatchObject({ code: "cancelled" });
    await ended();
  });

  test("and sessions that have ended leave their room to others at once", async () => {
    for (let round = 0; round < 6; round++) {
      const opened = await Promise.all(Array.from({ length: 9 }, () => kvm1.openSession()));
      for (const { stdout, stderr, kill, closed } of opened) {
        closed.catch(() => {});
        stdout.resume();
        stderr.resume();
        kill();
      }
    }
  });

  test("whose caller has left are not begun", async () => {
    const mark = join(folder, "begun");
    const none = sh(`echo >>${mark}`, { signal: AbortSignal.abort() });
    await expect(none).rejects.toMatchObject({ code: "cancelled" });
    // one whose turn has not come yet
    const caller = new AbortController();
    const first = sh("sleep 0.5");
    const second = sh(`echo >>${mark}`, { signal: caller.signal });
    second.catch(() => {});
    caller.abort();
    await expect(second).rejects.toMatchObject({ code: "cancelled" });
    await first;
    await sh("true");
    expect(() => statSync(mark)).toThrow();
  });

  test("end when we close the connection", async () => {
    const call = sh(SLEEPERS);
    call.catch(() => {});
    await sleeping();
    await kvm1.close();
    const told = await call.then(
      ({ exitCode }) => exitCode,
      ({ code }) => code,
    );
    expect([-1, "outcome_unknown"]).toContain(told);
    await ended();
  });

  test("end when our process is killed", async () => {
    const script = `
      import { sshTransport } from "${import.meta.dirname}/../../../runtime/hypervisor/ssh/transport.ts";
      const kvm1 = sshTransport("kvm1", ${JSON.stringify(sshd.uri())}, ${JSON.stringify(SETTINGS)});
      await kvm1.exec(["sh", "-c", ${JSON.stringify(SLEEPERS)}], { timeout: 60000 });`;
    const child = spawn(process.execPath, ["-e", script], { stdio: "inherit" });
    await until("it runs", () => processes("sleep").length === 3, 10);
    child.kill("SIGKILL");
    await ended();
  });

  test("output without end is cut off", async () => {
    const call = kvm1.exec(["yes"], { timeout: 50_000 });
    await expect(call).rejects.toMatchObject({
      code: "command_failed",
      message: expect.stringMatching(/yes printed more than \d+ bytes/),
    });
    await until("it has ended", () => processes("yes").length === 0);
  });

  test("what they leave running elsewhere holds up no answer", async () => {
    const call = sh("setsid sleep 3 & wait", { timeout: 500 });
    await expect(call).rejects.toMatchObject({ code: "timed_out" });
    expect(await sh("echo next")).toMatchObject({ stdout: "next\n" });
    for (const pid of processes("sleep")) process.kill(pid);
  });

  test("texts are files that only their user can read, and are gone afterwards", async () => {
    const text = "<a>'ü\\n%s$(id)`\\0\"\r\n\t</a>";
    const file = await kvm1.putText(text);
    expect(readFileSync(file.path, "utf8")).toBe(text);
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
    expect(statSync(join(file.path, "..")).mode & 0o777).toBe(0o700);
    expect(file.path.startsWith(`${tmp}/`)).toBe(true);
    file.remove();
    await until("the file is gone", () => readdirSync(join(file.path, "..")).length === 0);
    await kvm1.putText("never removed"); // goes with the connection: see nothingThere
  });

  test("bytes are a file too, and written over a file of their length", async () => {
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7) % 256));
    const file = await kvm1.putText(bytes);
    expect(readFileSync(file.path)).toEqual(bytes);
    file.remove();
    const folder = mkdtempSync(join(tmp, "it's "));
    const [volume, link] = [join(folder, "volume"), join(folder, "link")];
    writeFileSync(volume, Buffer.alloc(bytes.length));
    symlinkSync(volume, link);
    expect(await kvm1.overwrite?.(link, bytes)).toBe(false);
    expect(await kvm1.overwrite?.(join(folder, "none"), bytes)).toBe(false);
    expect(await kvm1.overwrite?.(volume, bytes.subarray(1))).toBe(false);
    expect(readFileSync(volume)).toEqual(Buffer.alloc(bytes.length));
    expect(await kvm1.overwrite?.(volume, bytes)).toBe(true);
    expect(readFileSync(volume)).toEqual(bytes);
    expect(readdirSync(folder).sort()).toEqual(["link", "volume"]);
    rmSync(folder, { recursive: true });
  });

  test("a text of a megabyte", async () => {
    const text = "0123456789abcdef".repeat(65_536);
    const file = await kvm1.putText(text);
    expect(readFileSync(file.path, "utf8") === text).toBe(true);
  });

  test("a session needs no shell, a text does", async () => {
    const session = await kvm1.openSession();
    await until("virsh runs", () => there().includes("virsh"));
    expect(there()).not.toContain("sh");
    session.stdout.resume();
    session.stderr.resume();
    session.kill();
    await session.closed;
    await until("it has ended", () => !there().includes("virsh"));
    expect(there()).not.toContain("sh");
    await kvm1.putText("text");
    expect(there()).toContain("sh");
  });

  test("a shell that somebody kills there is replaced", async () => {
    await kvm1.putText("text");
    const shells = () => tree(sshd.pid()).filter((pid) => commandOf(pid) === "sh");
    const [shell] = shells();
    process.kill(shell as number);
    await until("another one is there", () => kvm1.putText("text").then(Boolean, () => false));
    expect(shells()).toHaveLength(1);
  });

  test("no room for a text", async () => {
    const full = await startSshd({ config: ["SetEnv TMPDIR=/dev/nowhere"] });
    const one = sshTransport("kvm1", full.uri(), SETTINGS);
    const message = /hypervisor kvm1: .*no temporary folder can be made on the remote side/;
    await expect(one.putText("text")).rejects.toMatchObject({ code: "unreachable" });
    await expect(one.putText("text")).rejects.toThrow(message);
    await one.close();
    await full.stop();
  });

  test("a change that is cut off has an unknown outcome; its leftovers end with the next login", async () => {
    const call = sh(SLEEPERS, { timeout: 60_000 });
    call.catch(() => {});
    await sleeping();
    await cut();
    try {
      await expect(call).rejects.toMatchObject({
        code: "outcome_unknown",
        message: expect.stringMatching(/lost while sh ran; look at the present state/),
      });
      expect(processes("sleep")).toHaveLength(3); // nobody has told that side yet
    } finally {
      await mend();
    }
    expect(await sh("echo back")).toMatchObject({ stdout: "back\n" });
    await ended();
  });

  test("a connection that never ends for the other side: the next login ends what it left", async () => {
    const file = await kvm1.putText("text");
    const { stdout } = await run("ss", ["-Htn", "state", "established", "dport", `${sshd.port}`]);
    const own = /:(\d+) +\S+ *$/m.exec(stdout)?.[1] as string;
    const before = there().length;
    const rules = ["--dport", "--sport"].map((option) => [
      "INPUT",
      "-p",
      "tcp",
      option,
      own,
      "-j",
      "DROP",
    ]);
    for (const rule of rules) await run("iptables", ["-I", ...rule]);
    try {
      await expect(sh("echo never")).rejects.toMatchObject({ code: "unreachable" });
      const again = () => sh("true").then(Boolean, () => false);
      await until("there is another connection", again, 35);
      await until("the old shell has ended", () => readdirSync(tmp).length === 1);
      expect(existsSync(file.path)).toBe(false);
    } finally {
      for (const rule of rules) await run("iptables", ["-D", ...rule]);
    }
    await until("the old connection has ended", () => there().length === before);
  });
});

describe("whatever the user logs in with", () => {
  const mounted: string[] = [];
  /** Only the lab sees it. */
  const cover = async (file: string, text: string) => {
    const other = join(folder, `${mounted.length}-${file.replaceAll("/", "-")}`);
    writeFileSync(other, text);
    await run("mount", ["--bind", other, file]);
    mounted.push(file);
  };
  afterEach(async () => {
    for (const file of mounted.splice(0)) await run("umount", [file]);
  });
  const words = ["$x", "a b", "'", "\\", "!", "ü", "", "a\nb"];

  test.each(["/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/fish", "/bin/zsh"])(
    "%s",
    async (shell) => {
      const users = readFileSync("/etc/passwd", "utf8");
      await cover("/etc/passwd", users.replace(/^(root:.*:)[^:]*$/m, `$1${shell}`));
      const one = sshTransport("kvm1", sshd.uri(), SETTINGS);
      const { stdout } = await one.exec(["printf", "[%s]", ...words], { timeout: 10_000 });
      expect(stdout).toBe(words.map((each) => `[${each}]`).join(""));
      const file = await one.putText("text");
      expect(readFileSync(file.path, "utf8")).toBe("text");
      await one.close();
      await nothingThere();
    },
  );

  test("a shell that greets everybody", async () => {
    const home = join(folder, "root");
    mkdirSync(home);
    writeFileSync(join(home, ".bashrc"), "echo Welcome; echo Beware >&2\n");
    const users = readFileSync("/etc/passwd", "utf8");
    await cover("/etc/passwd", users.replace(/^root:.*$/m, `root:x:0:0:root:${home}:/bin/bash`));
    const one = sshTransport("kvm1", sshd.uri(), SETTINGS);
    expect(await one.exec(["echo", "x"], { timeout: 10_000 })).toMatchObject({ stdout: "x\n" });
    const file = await one.putText("text");
    expect(readFileSync(file.path, "utf8")).toBe("text");
    await one.close();
    await nothingThere();
  });
});

describe("a server", () => {
  let server: HostsServer | undefined;
  afterEach(async () => {
    await server?.stop();
    server = undefined;
    await nothingThere();
    await clean();
  });

  test("40 calls of all kinds at once fit into 10 channels", {
    timeout: slow(120_000),
  }, async () => {
    const images = "/var/lib/libvirt/images";
    await run("qemu-img", ["create", "-f", "raw", `${images}/source.img`, "1M"]);
    await virsh("pool-refresh", "default");
    await defineNetwork("lan");
    server = await serveHosts({ kvm1: sshd.uri() });
    const { get, post } = server;
    const host = "?host=kvm1";
    const source = `${images}/source.img`;
    const all = Array.from({ length: 4 }, (_, i) => [
      () => get(`/libvirt/networks${host}`),
      () => get(`/libvirt/network${host}&name=lan`),
      () => get(`/libvirt/domains${host}`),
      () => get(`/libvirt/stats/all${host}`),
      () => get(`/libvirt/volumes${host}&pool=default`),
      () => get(`/libvirt/pools${host}`),
      () => post(`/libvirt/network/create${host}`, { name: `n${i}`, forward: "none" }),
      () =>
        post(`/libvirt/volume/create${host}`, { pool: "default", name: `v${i}`, capacity: "1MiB" }),
      () =>
        post(`/libvirt/volume/clone${host}`, {
          pool: "default",
          source_volume: "source.img",
          target_volume: `c${i}`,
        }),
      () =>
        post(`/libvirt/volume/upload${host}`, {
          pool: "default",
          volume: `u${i}`,
          source_path: source,
        }),
    ]).flat();
    expect(all).toHaveLength(40);
    let most = 0;
    const watch = setInterval(() => {
      const [session = 0] = connections(sshd.pid());
      const channels = tree(session).filter((pid) => parentOf(pid) === session);
      most = Math.max(most, channels.length);
    }, 10);
    const answers = await Promise.all(all.map((call) => call()));
    clearInterval(watch);
    for (const { status, body } of answers) {
      expect(status, JSON.stringify(body)).toBeLessThan(300);
    }
    expect(most).toBeGreaterThan(5);
    expect(most).toBeLessThanOrEqual(10);
    expect(sshd.log()).not.toMatch(/no more sessions/);
    for (let i = 0; i < 4; i++) {
      for (const volume of [`v${i}`, `c${i}`, `u${i}`])
        await virsh("vol-delete", volume, "default");
    }
  });

  test("a connection that is not used is closed, and made again", {
    timeout: slow(30_000),
  }, async () => {
    const settings = "[ssh]\nidle = 0.5\n[virsh]\nidle = 0.2\n";
    server = await serveHosts({ kvm1: sshd.uri() }, settings);
    for (let i = 0; i < 2; i++) {
      expectSuccess(await server.get("/libvirt/networks?host=kvm1"));
      expect(connections(sshd.pid())).toHaveLength(1);
      await nothingThere();
    }
  });

  test("sessions that somebody kills there are replaced", async () => {
    server = await serveHosts({ kvm1: sshd.uri() });
    for (let i = 0; i < 3; i++) {
      expectSuccess(await server.get("/libvirt/networks?host=kvm1"));
      for (const pid of processes("virsh")) process.kill(pid, "SIGKILL");
    }
  });

  test("a frozen sshd is noticed, left, and used again when it has thawed", {
    timeout: slow(60_000),
  }, async () => {
    server = await serveHosts({ kvm1: sshd.uri() }, "[ssh]\nkeepalive = 2\ntimeout = 3\n");
    const networks = () => (server as HostsServer).get("/libvirt/networks?host=kvm1");
    expectSuccess(await networks());
    const frozen = tree(sshd.pid()).filter((pid) => commandOf(pid) === "sshd");
    for (const pid of frozen) process.kill(pid, "SIGSTOP");
    expectError(await networks(), 503, "unreachable", /hypervisor kvm1: .* does not answer/);
    for (const pid of frozen) process.kill(pid, "SIGCONT");
    await until("it answers again", async () => (await networks()).status === 200, 35);
  });
});

function parentOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1]);
  } catch {
    return undefined; // it has ended
  }
}
