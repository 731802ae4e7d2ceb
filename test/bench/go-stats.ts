/** Statistics as the Go original gets them: a new virsh for every figure, one after the other. */
import { attribute, children, parseXml } from "../../runtime/libvirt/xml.ts";

/** What it printed; nothing when it failed, as the original leaves out what it cannot get. */
async function virsh(...args: string[]): Promise<string> {
  const child = Bun.spawn(["virsh", ...args], { stdout: "pipe", stderr: "ignore" });
  return await child.stdout.text();
}

const rows = (text: string) => text.split("\n").filter((line) => line.trim() !== "");
const pairs = (text: string) =>
  Object.fromEntries(rows(text).map((row) => row.trim().split(/\s+/).slice(-2)));

async function statistics(name: string) {
  const state = (await virsh("domstate", name)).trim();
  const cpu = pairs(await virsh("cpu-stats", name, "--total"));
  const memory = pairs(await virsh("dommemstat", name));
  const disks: object[] = [];
  for (const row of rows(await virsh("domblklist", name)).slice(2)) {
    const [device = ""] = row.trim().split(/\s+/);
    disks.push({ device, ...pairs(await virsh("domblkstat", name, device)) });
  }
  const networks: object[] = [];
  const domain = parseXml(await virsh("dumpxml", name), "domain");
  for (const one of children(domain, "devices", "interface")) {
    const nic = attribute(one, "dev", "target") ?? "";
    networks.push({ interface: nic, ...pairs(await virsh("domifstat", name, nic)) });
  }
  return { name, state, cpu, memory, disks, networks };
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  routes: {
    "/libvirt/stats": async (request) =>
      Response.json(await statistics(new URL(request.url).searchParams.get("name") ?? "")),
    "/libvirt/stats/all": async () => {
      const domains: object[] = [];
      for (const name of rows(await virsh("list", "--state-running", "--name")))
        domains.push(await statistics(name.trim()));
      return Response.json({ domains, total: domains.length });
    },
  },
});
console.log(`${server.url}`);
