/** Where a call goes: to a hypervisor, from this process, or to a server. */
import type { Command } from "commander";
import type { Access } from "../access/caller.ts";
import type { Call, CallOptions, JobOptions } from "../client/types.ts";

export interface Target {
  /** An alias or a libvirt URI; `kvm1,kvm2` or `*` for a read of several. */
  host?: string;
  server?: string;
  /** @default $HYPERSDK_TOKEN */
  token?: string;
}

export type AnyCall = (
  endpoint: string,
  input: object,
  options?: CallOptions | JobOptions,
) => Promise<unknown>;

/** The options of a command that may ask a server. */
export const withServer = (command: Command, alone: string) =>
  command
    .option("--server <url>", `of this server; without it ${alone}`)
    .option("--token <token>", "for the server; HYPERSDK_TOKEN unless given")
    .option("--json", "JSON, as when piped");

/** Calls that are about no hypervisor, with the types of the endpoints. */
export const typedCaller = async (target: Pick<Target, "server" | "token">) =>
  (await caller(target)) as Call;

/** `access` is that of the functions to be called: several hypervisors are only read. */
export async function caller(target: Target, access: Access = "read"): Promise<AnyCall> {
  const { host, server, token = process.env.HYPERSDK_TOKEN } = target;
  if (server) {
    const { createClient } = await import("../client/client.ts");
    return createClient(server, { host, token }) as AnyCall;
  }
  const { isSeveral, onEach, oneHypervisorOnly, severalHosts } = await import("../http/fleet.ts");
  if (!isSeveral(host)) {
    const { connect } = await import("../client/connect.ts");
    return connect(host?.includes("://") ? { uri: host } : { host }) as AnyCall;
  }
  // as a server does with `?host=kvm1,kvm2`
  return async (endpoint, input, options) => {
    const aliases = severalHosts(host) ?? [];
    if (access !== "read") throw oneHypervisorOnly();
    return onEach(aliases, async (alias) =>
      (await caller({ host: alias }))(endpoint, input, options),
    );
  };
}
