/** `hypersdk console NAME`: a domain's serial console at this terminal; with `--vnc` a port here for a VNC client. */
import type { Command } from "commander";
import { report, UsageError } from "../report.ts";
import type { Target } from "../target.ts";

interface Options extends Target {
  vnc?: boolean;
  device?: string;
  screen?: string;
  port?: string;
  view?: boolean;
  force?: boolean;
}

export function console_(program: Command) {
  program
    .command("console")
    .description("open a domain's serial console here; with --vnc its screen in a VNC client")
    .argument("<domain>", "its name")
    .option("--vnc", "forward its screen to a port of this machine until Ctrl-C")
    .option("--port <port>", "that port; a free one unless given")
    .option("--screen <number>", "of a domain with several screens")
    .option("--device <device>", "serial0, console1 …; the first unless given")
    .option("--view", "only watch")
    .option("--force", "take over from who types now")
    .option("--host <alias>", "hypervisor: an alias or a libvirt URI")
    .option("--server <url>", "through this server; without it from this process")
    .option("--token <token>", "for the server; HYPERSDK_TOKEN unless given")
    .action(open);
}

async function open(name: string, options: Options) {
  try {
    const { port = "0", screen = "0" } = options;
    for (const [key, value] of Object.entries({ port, screen }))
      if (!/^\d{1,5}$/.test(value)) throw new UsageError(`--${key}: must be a number`);
    const connect = await connector(name, options);
    if (options.vnc) {
      const { forward } = await import("../console/forward.ts");
      return await forward(connect, { name, port: Number(port) });
    }
    if (!process.stdin.isTTY) throw new UsageError("a serial console needs a terminal");
    const { atTerminal } = await import("../console/at-terminal.ts");
    await atTerminal(await connect(), { name, types: !options.view });
  } catch (error) {
    process.exitCode = report(error as Error);
  }
}

/** Opens the console, once for each call: through a server, or from this process. */
async function connector(name: string, options: Options) {
  const { vnc, device, view = false, force = false, host, server } = options;
  const screen = Number(options.screen ?? 0);
  if (server) {
    const { throughServer } = await import("../console/through-server.ts");
    const token = options.token ?? process.env.HYPERSDK_TOKEN;
    const given = vnc ? { screen: options.screen } : { device, ...(force && { force: "true" }) };
    const query = Object.entries({ name, ...(view && { view: "true" }), ...given, host });
    const fields = Object.fromEntries(query.filter(([, value]) => value !== undefined));
    const kind = vnc ? "vnc" : "serial";
    return () => throughServer(server, kind, fields as Record<string, string>, token);
  }
  const { fromHere } = await import("../console/from-here.ts");
  return () => fromHere(host, vnc ? { name, screen, view } : { name, device, view, force });
}
