/** Signs that a guest is there, each as far as it can be seen from outside. */
import ipaddr from "ipaddr.js";
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { lines } from "../virsh-output.ts";
import { attribute, children, type Element } from "../xml.ts";

export const GuestAddress = z.object({
  address: z.string(),
  prefix: z.int().nullable(),
  mac: z.string().nullable(),
  source: z.enum(["agent", "lease", "arp", "static"]).describe("who tells it"),
});

export type GuestAddress = z.output<typeof GuestAddress>;

/** An agent that has gone wrong keeps a call waiting. */
const AGENT_TIMEOUT_MS = 10_000;
const AGENT_TIMEOUT_SECONDS = 5;

export const hasAgentChannel = (domain: Element) =>
  children(domain, "devices", "channel").some(
    (channel) => attribute(channel, "name", "target") === "org.qemu.guest_agent.0",
  );

/** A row of `domifaddr`, whose name may hold spaces. */
const ROW = / ([0-9a-f]{2}(?::[0-9a-f]{2}){5}) +ipv[46] +([0-9a-f.:]+)\/(\d+)$/i;

/** What the rows tell, but for addresses that no other machine can use. */
export function parseAddresses(table: string, source: GuestAddress["source"]): GuestAddress[] {
  return lines(table).flatMap((row) => {
    const [, mac = null, address = "", prefix] = ROW.exec(row.trimEnd()) ?? [];
    if (!ipaddr.isValid(address)) return [];
    if (/^(loopback|linkLocal|unspecified|multicast)$/.test(ipaddr.parse(address).range()))
      return [];
    return [{ address, prefix: Number(prefix), mac: mac?.toLowerCase() ?? null, source }];
  });
}

/** The addresses that the networks' leases and the hypervisor's neighbours tell. */
export async function readOuterAddresses(ctx: Context, domain: string): Promise<GuestAddress[]> {
  const sources = ["lease", "arp"] as const;
  const tables = await ctx.virsh.settled(
    sources.map((source) => ["domifaddr", "--domain", domain, "--full", "--source", source]),
  );
  return tables.flatMap((table, i) =>
    typeof table === "string" ? parseAddresses(table, sources[i] ?? "arp") : [],
  );
}

/** The same from the guest agent, whose answer is a sign in itself; or why it gives none. */
export async function askAgent(
  ctx: Context,
  domain: string,
): Promise<{ addresses: GuestAddress[] } | { silent: string }> {
  const command = ["domifaddr", "--domain", domain, "--full", "--source", "agent"];
  try {
    const table = await ctx.virsh(command, { timeout: AGENT_TIMEOUT_MS });
    return { addresses: parseAddresses(table, "agent") };
  } catch (error) {
    if (!(error instanceof HyperError)) throw error;
    if (error.code === "unreachable" || error.code === "cancelled") throw error;
    return { silent: error.message };
  }
}

/** Each address once, by whom it was told first. */
export const distinct = (addresses: GuestAddress[]) =>
  addresses.filter(({ address }, i) => addresses.findIndex((one) => one.address === address) === i);

/** Prints the first line that the server sends. Bash is on nearly every hypervisor, and a netcat on the others. */
const GREETING = `if command -v bash >/dev/null; then
  exec timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/22" && IFS= read -r -n 255 line <&3; printf "%s\\n" "$line"' bash "$1"
fi
exec timeout 2 nc "$1" 22 </dev/null`;

/** The greeting of the SSH server at an address, as the hypervisor gets it; or why there is none. */
export async function greetSsh(
  { exec }: Pick<Context, "exec">,
  address: string,
): Promise<{ greeting: string } | { silent: string }> {
  const { stdout, stderr } = await exec(["sh", "-c", GREETING, "sh", address]);
  const [greeting] = /^SSH-[\x21-\x7e]{1,200}/m.exec(stdout) ?? [];
  if (greeting) return { greeting };
  const [, reason = "no answer"] = /: ([^:]+)$/.exec(lines(stderr)[0] ?? "") ?? [];
  return { silent: reason };
}

/** Runs a program in the guest; resolves to what it printed, or why it could not be run. */
export async function runInGuest(
  ctx: Context,
  domain: string,
  argv: string[],
): Promise<{ stdout: string } | { silent: string }> {
  const [path, ...arg] = argv;
  const ask = async (execute: string, args: object) => {
    const command = JSON.stringify({ execute, arguments: args });
    const words = ["--timeout", AGENT_TIMEOUT_SECONDS, "--cmd", command];
    const text = await ctx.virsh(["qemu-agent-command", "--domain", domain, ...words], {
      timeout: AGENT_TIMEOUT_MS,
    });
    return JSON.parse(text).return;
  };
  try {
    const { pid } = await ask("guest-exec", { path, arg, "capture-output": true });
    for (const end = performance.now() + AGENT_TIMEOUT_MS; performance.now() < end; ) {
      const status = await ask("guest-exec-status", { pid });
      if (status.exited)
        return { stdout: Buffer.from(status["out-data"] ?? "", "base64").toString() };
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return { silent: `${path} takes longer than ${AGENT_TIMEOUT_MS / 1000} s in the guest` };
  } catch (error) {
    if (!(error instanceof HyperError)) throw error;
    if (error.code === "unreachable" || error.code === "cancelled") throw error;
    return { silent: error.message };
  }
}
