/** A machine within the lab: its own network namespace, libvirtd and sshd. It sees the lab's other files. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { slow } from "../fixtures/slowness.ts";
import { type Sshd, startSshd } from "./sshd.ts";

const run = promisify(execFile);

export interface Machine {
  sshd: Sshd;
  /** One virsh command there. */
  virsh(...args: string[]): Promise<string>;
  /** Many, by one virsh. */
  script(commands: string[]): Promise<void>;
  /** A command in its namespaces. */
  run(...argv: string[]): Promise<string>;
  stop(): Promise<void>;
}

const BOOT = `
set -e
ip link set lo up
keep=$(mktemp -d)
cp /etc/libvirt/*.conf "$keep"
for dir in /run /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
  mount -t tmpfs -o mode=755 tmpfs "$dir"
done
cp "$keep"/*.conf /etc/libvirt
rm -r "$keep"
mkdir -p /run/lock /run/sshd
libvirtd -d
until timeout 5 virsh uri >/dev/null 2>&1; do sleep 0.05; done
echo ready
exec sleep infinity
`;

/** `network`: commands of `ip` that give it its links. `address`: where its sshd listens, on port 22. */
export async function startMachine(
  name: string,
  { address, network, config }: { address: string; network: string[]; config: string[] },
): Promise<Machine> {
  await run("ip", ["netns", "add", name]);
  for (const command of network) await run("ip", command.split(" "));
  const init = spawn("ip", ["netns", "exec", name, "sh", "-c", BOOT], {
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
    virsh: async (...args) => (await inside(["virsh", "-q", ...args])).stdout,
    async script(commands) {
      const { stderr } = await inside(["virsh", "-q"], `${commands.join("\n")}\n`);
      if (stderr !== "") throw new Error(stderr);
    },
    run: async (...argv) => (await inside(argv)).stdout,
    async stop() {
      await sshd.stop();
      await inside(["sh", "-c", "kill $(cat /run/libvirtd.pid)"]);
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
