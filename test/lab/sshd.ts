/** A real sshd on loopback, and a home folder whose user may log in there as the user of this process. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { localUser } from "../../runtime/hypervisor/ssh/tokens.ts";
import { slow } from "../fixtures/slowness.ts";

const run = promisify(execFile);

export interface Sshd {
  port: number;
  /** Of the one that listens, or listened last. */
  pid(): number;
  /** For HOME: its `.ssh` has the key that may log in, and the record of the host's key. */
  home: string;
  key: string;
  knownHosts: string;
  /** `qemu+ssh://user@127.0.0.1:port/system?keyfile=…`, which needs no home folder. */
  uri(driver?: string, path?: string): string;
  log(): string;
  /** The machine fails: it ends with all its connections. `start` is the next boot, with the same keys. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** The end of it, and of its files. */
  stop(): Promise<void>;
}

export interface SshdOptions {
  address?: string;
  port?: number;
  /** Further lines of its configuration. */
  config?: string[];
  /** Runs it in another network namespace: `["ip", "netns", "exec", "kvm1"]`. */
  within?: string[];
}

/** A port that nothing listens on. */
export async function freePort(address = "127.0.0.1"): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const { address = "127.0.0.1", config = [], within = [] } = options;
  const port = options.port ?? (await freePort());
  const home = await mkdtemp(join(tmpdir(), "sshd-"));
  const folder = join(home, ".ssh");
  await mkdir(folder, { mode: 0o700 });
  await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  const key = join(folder, "id_ed25519");
  const hostKey = join(home, "host_ed25519");
  for (const file of [key, hostKey]) {
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file]);
  }
  await writeFile(join(folder, "authorized_keys"), await readFile(`${key}.pub`));
  const knownHosts = join(folder, "known_hosts");
  const name = port === 22 ? address : `[${address}]:${port}`;
  await writeFile(knownHosts, `${name} ${await readFile(`${hostKey}.pub`, "utf8")}`);
  const file = join(home, "sshd_config");
  const lines = [
    `ListenAddress ${address}`,
    `Port ${port}`,
    `HostKey ${hostKey}`,
    `PidFile none`,
    `AuthorizedKeysFile ${join(folder, "authorized_keys")}`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    ...config,
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  await chmod(file, 0o600);
  const [program = "", ...args] = [...within, "/usr/sbin/sshd", "-D", "-e", "-f", file];
  let log = "";
  let child: ChildProcess;
  const start = async () => {
    child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
    const from = log.length;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    const until = Date.now() + slow(10_000);
    while (!log.includes("Server listening", from)) {
      if (child.exitCode !== null || Date.now() > until)
        throw new Error(`sshd did not start:\n${log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const daemons = tree(child.pid as number).filter((pid) => /^sshd/.test(commandOf(pid)));
    for (const pid of daemons) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // a connection's process that has ended by itself
      }
    }
    await ended;
  };
  await start();
  const username = localUser();
  return {
    port,
    pid: () => child.pid as number,
    home,
    key,
    knownHosts,
    uri: (driver = "qemu", path = "/system") =>
      `${driver}+ssh://${username}@${address}:${port}${path}?keyfile=${key}&known_hosts=${knownHosts}`,
    log: () => log,
    start,
    kill,
    async stop() {
      await kill();
      await rm(home, { recursive: true, force: true }); // it may have been stopped before
    },
  };
}

/** A process and all that it has started, directly or not. */
export function tree(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return [pid, ...children.split(" ").filter(Boolean).map(Number).flatMap(tree)];
  } catch {
    return []; // it has ended
  }
}

/**
 * The process of each connection of an sshd, from which its channels come. OpenSSH 10 has two for each, one the child
 * of the other; before, root's connections had one.
 */
export function connections(pid: number): number[] {
  const daemons = tree(pid)
    .slice(1)
    .filter((one) => commandOf(one) === "sshd");
  return daemons.filter(
    (one) =>
      !tree(one)
        .slice(1)
        .some((child) => daemons.includes(child)),
  );
}

/** Its name, of 15 bytes at most. The process of a connection is an sshd, also where OpenSSH (9.8 and later) has a program of its own for it. */
export function commandOf(pid: number): string {
  try {
    const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
    return name === "sshd-session" ? "sshd" : name;
  } catch {
    return "";
  }
}
