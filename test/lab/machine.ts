/** A machine within the lab: its own network namespace, libvirtd and sshd. It sees the lab's other files. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { slow } from "../fixtures/slowness.ts";
import { CACHE } from "./release-root.mjs";
import { type Sshd, startSshd } from "./sshd.ts";

const run = promisify(execFile);

export interface Machine {
  sshd: Sshd;
  /** The process that its namespaces are those of. */
  pid: number;
  /** One virsh command there. */
  virsh(...args: string[]): Promise<string>;
  /** Many, by one virsh. */
  script(commands: string[]): Promise<void>;
  /** A command in its namespaces. */
  run(...argv: string[]): Promise<string>;
  stop(): Promise<void>;
}

/** What a machine of another release sees of the lab: the tests' files, and the guests'. */
const SHARED = ["/tmp", "/dev", CACHE];

/** Its root becomes another one, to be written to without a change. */
const ENTER = `
memory=/run/release new=/run/release/root
mkdir "$memory"
mount -t tmpfs -o mode=755 tmpfs "$memory"
mkdir "$memory/upper" "$memory/work" "$new"
mount -t overlay -o "lowerdir=$2,upperdir=$memory/upper,workdir=$memory/work" root "$new"
for dir in ${SHARED.map((dir) => `'${dir}'`).join(" ")}; do mkdir -p "$new$dir"; mount --rbind "$dir" "$new$dir"; done
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
cd "$new"
pivot_root . .
umount --lazy .
`;

const BOOT = `
set -e
ip link set lo up
keep=$(mktemp -d)
cp /etc/libvirt/*.conf "$keep"
if [ "$2" ]; then ${ENTER} fi
for dir in /run /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
  mount -t tmpfs -o mode=755 tmpfs "$dir"
done
cp "$keep"/*.conf /etc/libvirt
rm -r "$keep"
mkdir -p /run/lock /run/sshd
if [ "$1" ]; then
  echo 'host_uuid = "'"$1"'"' >>/etc/libvirt/libvirtd.conf
  mkdir -p /var/lib/libvirt/images
  virtlogd -d
fi
libvirtd -d
until timeout 5 virsh uri >/dev/null 2>&1; do sleep 0.05; done
echo ready
exec sleep infinity
`;

/** Its daemons, and what its guests have left running. */
const END = `for file in /run/libvirtd.pid /run/virtlogd.pid /run/libvirt/qemu/*.pid /run/libvirt/qemu/swtpm/*.pid; do
  [ ! -e "$file" ] || kill -9 "$(cat "$file")" || true
done`;

interface Options {
  /** Where its sshd listens, on port 22. */
  address: string;
  /** Commands of `ip` that give it its links. */
  network: string[];
  /** Lines for its sshd. */
  config: string[];
  /** For one that runs guests: libvirt migrates none to a host of the same UUID, and all have this machine's. */
  hostUuid?: string;
  /** The root file system of another release, as release-root.mjs makes it: its libvirt, QEMU and SSH. */
  root?: string;
}

export async function startMachine(
  name: string,
  { address, network, config, hostUuid = "", root = "" }: Options,
): Promise<Machine> {
  await run("ip", ["netns", "add", name]);
  for (const command of network) await run("ip", command.split(" "));
  const init = spawn("ip", ["netns", "exec", name, "sh", "-c", BOOT, "sh", hostUuid, root], {
    env: { ...process.env, LC_ALL: "C" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await ready(init, name);
  const within = ["nsenter", `--target=${init.pid}`, "--mount", "--net", "--"];
  const inside = async (argv: string[], input?: string) => {
    const [program = "", ...args] = [...within, ...argv];
    const child = run(program, args, { timeout: slow(20_000) });
    child.child.stdin?.end(input ?? "");
    return child;
  };
  const sshd = await startSshd({ address, port: 22, config, within });
  return {
    sshd,
    pid: init.pid as number,
    virsh: async (...args) => (await inside(["virsh", "-q", ...args])).stdout,
    async script(commands) {
      const { stderr } = await inside(["virsh", "-q"], `${commands.join("\n")}\n`);
      if (stderr !== "") throw new Error(stderr);
    },
    run: async (...argv) => (await inside(argv)).stdout,
    async stop() {
      await sshd.stop();
      await inside(["sh", "-c", END]);
      init.kill("SIGKILL");
      await run("ip", ["netns", "delete", name]);
    },
  };
}

function ready(init: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    init.stdout?.once("data", () => resolve());
    init.once("exit", (code) => reject(new Error(`machine ${name} did not start: exit ${code}`)));
  });
}
