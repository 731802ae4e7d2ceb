/**
 * A person of group libvirt who is not root, and the sshd through which that person logs in, with the rights
 * of Debian's packages: images 0600 root, /var/lib/libvirt/qemu 0750, libvirt's socket for its group alone.
 */
import { execFile } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { slow } from "../fixtures/slowness.ts";
import { type Sshd, type SshdOptions, startSshd } from "./sshd.ts";

const run = promisify(execFile);

export interface LoginUser {
  name: string;
  uid: number;
  gid: number;
  home: string;
  sshd: Sshd;
  /** `qemu+ssh://name@127.0.0.1:port/system?…`, which needs no home folder. */
  uri(driver?: string, path?: string): string;
  /** Runs a program here as this user, in the user's groups; resolves to what it printed. */
  run(...argv: string[]): Promise<string>;
  /** Ends the sshd and gives the lab its databases and rights back. */
  remove(): Promise<void>;
}

export interface LoginUserOptions {
  name?: string;
  /** The login shell. */
  shell?: string;
  /** Another name of root, who has other rights than this file is about, but may have another shell. */
  root?: boolean;
  /** What follows `name ALL=(ALL) ` in sudoers, such as "NOPASSWD: ALL". */
  sudo?: string;
  /** Further lines of sudoers. */
  sudoers?: string[];
  sshd?: SshdOptions;
  /** Lines of sshd's `Match User`, such as `SetEnv PATH=…`. */
  match?: string[];
}

const DATABASES = ["passwd", "group", "shadow"];

/** One at a time, because a second user would not be in the first one's databases. */
export async function startLoginUser(options: LoginUserOptions = {}): Promise<LoginUser> {
  if (process.env.HYPERSDK_LAB !== "1") {
    throw new Error("This would change the machine's own users. Run it in the lab: npm run lab");
  }
  const { name = "operator", shell = "/bin/sh", root = false, match = [] } = options;
  const folder = mkdtempSync("/run/login-user-");
  chmodSync(folder, 0o755);
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const remove = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const home = join(folder, "home");
    const { uid, gid } = await addUser(folder, { name, home, shell, root }, undo);
    giveRights(undo);
    await allowSudo(name, options, undo);
    const config = [...(options.sshd?.config ?? []), `Match User ${name}`];
    const lines = ["AuthorizedKeysFile .ssh/authorized_keys", ...match];
    const sshd = await startSshd({ ...options.sshd, config: [...config, ...lines] });
    undo.push(sshd.stop);
    const keys = join(home, ".ssh/authorized_keys");
    writeFileSync(keys, readFileSync(`${sshd.key}.pub`));
    chownSync(keys, uid, gid);
    return {
      ...{ name, uid, gid, home, sshd, remove },
      uri: (driver, path) => sshd.uri(driver, path).replace(/\/\/[^@]+@/, `//${name}@`),
      async run(...argv) {
        const as = [`--reuid=${uid}`, `--regid=${gid}`, "--init-groups"];
        const env = { ...process.env, HOME: home, USER: name };
        return (await run("setpriv", [...as, ...argv], { env, timeout: slow(20_000) })).stdout;
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Copies of the user databases with one more user, mounted over those of the machine in the lab alone. */
async function addUser(
  folder: string,
  {
    name,
    home,
    shell,
    root,
  }: Required<Pick<LoginUserOptions, "name" | "shell" | "root">> & { home: string },
  undo: (() => unknown)[],
): Promise<{ uid: number; gid: number }> {
  for (const database of DATABASES) {
    const copy = join(folder, database);
    copyFileSync(`/etc/${database}`, copy);
    const { mode, uid, gid } = statSync(`/etc/${database}`);
    chmodSync(copy, mode & 0o777);
    chownSync(copy, uid, gid);
  }
  const read = (database: string) => readFileSync(join(folder, database), "utf8");
  const taken = new Set(
    ["passwd", "group"].flatMap((database) =>
      read(database)
        .split("\n")
        .map((line) => Number(line.split(":")[2])),
    ),
  );
  const id = root ? 0 : firstFree(taken, 2000);
  appendFileSync(join(folder, "passwd"), `${name}:x:${id}:${id}:Test:${home}:${shell}\n`);
  appendFileSync(join(folder, "shadow"), `${name}:*:19000:0:99999:7:::\n`); // no password, and not locked
  const groups = /^libvirt:/m.test(read("group"))
    ? read("group")
    : `${read("group")}libvirt:x:${firstFree(taken, 3000)}:\n`;
  const members = groups.replace(/^(libvirt:.*:)(.*)$/m, (_line, before, list) =>
    list ? `${before}${list},${name}` : `${before}${name}`,
  );
  writeFileSync(join(folder, "group"), root ? members : `${members}${name}:x:${id}:\n`);
  for (const path of [home, join(home, ".ssh")]) {
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, id, id);
  }
  for (const database of DATABASES) {
    await run("mount", ["--bind", join(folder, database), `/etc/${database}`]);
    undo.push(() => run("umount", [`/etc/${database}`]));
  }
  return { uid: id, gid: id };
}

function firstFree(taken: Set<number>, from: number): number {
  let id = from;
  while (taken.has(id)) id++;
  return id;
}

/** The lab's own sudoers.d, whatever the machine's allows. */
async function allowSudo(
  name: string,
  { sudo, sudoers = [] }: LoginUserOptions,
  undo: (() => unknown)[],
) {
  await run("mount", ["-t", "tmpfs", "-o", "mode=750", "tmpfs", "/etc/sudoers.d"]);
  undo.push(() => run("umount", ["/etc/sudoers.d"]));
  const lines = [...sudoers, ...(sudo ? [`${name} ALL=(ALL) ${sudo}`] : [])];
  writeFileSync("/etc/sudoers.d/lab", `${lines.join("\n")}\n`, { mode: 0o440 });
}

/** Those of Debian's packages; a libvirtd that is started again has them too. */
function giveRights(undo: (() => unknown)[]) {
  const keep = (path: string) => {
    const { mode, uid, gid } = statSync(path);
    undo.push(() => {
      chmodSync(path, mode & 0o7777);
      chownSync(path, uid, gid);
    });
  };
  const line = /^libvirt:[^:]*:(\d+):/m.exec(readFileSync("/etc/group", "utf8"));
  const socket = "/run/libvirt/libvirt-sock";
  for (const [path, mode] of [
    ["/var/lib/libvirt/qemu", 0o750],
    ["/var/lib/libvirt/images", 0o711],
    [socket, 0o770],
  ] as const) {
    keep(path);
    chmodSync(path, mode);
  }
  chownSync(socket, 0, Number(line?.[1]));
  const conf = "/etc/libvirt/libvirtd.conf";
  const before = readFileSync(conf);
  undo.push(() => writeFileSync(conf, before));
  appendFileSync(conf, 'unix_sock_group = "libvirt"\nunix_sock_rw_perms = "0770"\n');
}
