/** What the Go original does, as a server of its own: a new virsh for every command of every request. */
async function virsh(...args: string[]): Promise<string> {
  const child = Bun.spawn(["virsh", ...args], { stdout: "pipe", stderr: "pipe" });
  const [said, failed, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(failed);
  return said;
}

async function nameOf(request: Request): Promise<string> {
  return ((await request.json()) as { name: string }).name;
}

const success = (data: unknown) =>
  Response.json({ status: "success", data, timestamp: new Date().toISOString() });

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  routes: {
    "/libvirt/networks": async () => {
      const [, , ...rows] = (await virsh("net-list", "--all")).trimEnd().split("\n");
      const networks = rows.map((row) => row.trim().split(/\s+/));
      return success(networks.map(([name, state, autostart]) => ({ name, state, autostart })));
    },
    "/libvirt/network": async (request) => {
      const name = new URL(request.url).searchParams.get("name") ?? "";
      const info = await virsh("net-info", name);
      const rows = info.trim().split("\n");
      const fields = Object.fromEntries(rows.map((row) => row.split(/:\s+/)));
      return success({ ...fields, xml: await virsh("net-dumpxml", name) });
    },
    "/libvirt/network/start": async (request) =>
      success(await virsh("net-start", await nameOf(request))),
    "/libvirt/network/stop": async (request) =>
      success(await virsh("net-destroy", await nameOf(request))),
  },
});
console.log(`${server.url}`);
