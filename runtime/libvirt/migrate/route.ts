/** The way that a running guest's memory takes: from the one QEMU to the other, by the target's address. */
import { HyperError } from "../../core/errors.ts";
import { isSsh } from "../../core/libvirt-uri.ts";
import type { Context } from "../../hypervisor/context.ts";
import { runLocally } from "../../hypervisor/local.ts";
import { runProgram } from "../program.ts";
import { lines } from "../virsh-output.ts";
import { type Check, fail, pass, warning } from "./check.ts";
import { connectDaemon } from "./daemon.ts";
import type { Sides } from "./sides.ts";

/**
 * The last port that libvirt lets a QEMU listen on. It gives out the lowest that is free, and a QEMU whose guest is
 * arriving takes any connection for the guest's memory: one that says nothing ends it.
 */
const PORT = 49215;
const REACH_TIMEOUT_MS = 5000;

/** The target's address, as the source is to call it. */
export async function addressOf({ source, target, route }: Sides): Promise<string> {
  if (route.migrate_host) return route.migrate_host;
  if (isSsh(target.uri)) {
    const { sshTarget } = await import("../../hypervisor/ssh/target.ts");
    return (await sshTarget(target.uri, target.host)).host;
  }
  if (!isSsh(source.uri)) return "127.0.0.1";
  // the target is this machine: the source knows where its login comes from
  const { stdout } = await runProgram(source, ["sh", "-c", 'echo "$SSH_CONNECTION"']);
  const [client = ""] = stdout.split(" ");
  if (client !== "") return client;
  throw new HyperError("unsupported", "migrate_host: name an address of this machine");
}

export const migrateUri = (address: string) =>
  `tcp://${address.includes(":") ? `[${address}]` : address}`;

export async function checkRoute(sides: Sides): Promise<Check[]> {
  const { source, target, route } = sides;
  if (!route.live) return [];
  const virsh = await runLocally(["virsh", "--version"], { timeout: REACH_TIMEOUT_MS });
  if (virsh.exitCode !== 0) return [fail("connection", "virsh does not run on this server")];
  for (const ctx of [source, target]) (await connectDaemon(ctx)).destroy();
  const address = await addressOf(sides);
  return [
    pass("connection", "this server reaches both libvirtd"),
    await checkReach(source, target, address),
  ];
}

/** A port where nobody listens is refused by a machine that is reached. */
async function checkReach(source: Context, target: Context, address: string): Promise<Check> {
  const { host } = target;
  if (await hasArriving(target)) {
    const text = `whether ${source.host} reaches ${host} at ${address} is not tried while another guest arrives there`;
    return warning("route", text);
  }
  try {
    const place = { host: address, port: PORT };
    (await source.openStream(place, { timeout: REACH_TIMEOUT_MS })).destroy();
  } catch (error) {
    const { message, code } = error as HyperError;
    if (!/ECONNREFUSED|refused/i.test(message)) {
      const text = `${source.host} does not reach ${host} at ${address}, where the memory is to go: ${message}`;
      if (code === "permission_denied") return warning("route", text);
      return fail("route", `${text}; migrate_host names another address`);
    }
  }
  return pass("route", `${source.host} reaches ${host} at ${address}`);
}

async function hasArriving({ virsh }: Context): Promise<boolean> {
  const uuids = lines(await virsh(["list", "--state-paused", "--uuid"]));
  const states = await virsh.settled(
    uuids.map((uuid) => ["domstate", "--domain", uuid, "--reason"]),
  );
  return states.some((state) => typeof state === "string" && /^paused \(migrating\)/.test(state));
}
