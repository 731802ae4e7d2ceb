/** Where a call goes: to a hypervisor, from this process, or to a server. */
import type { CallOptions } from "../client/types.ts";

export interface Target {
  /** An alias or a libvirt URI; `kvm1,kvm2` or `*` for a read of several. */
  host?: string;
  server?: string;
  /** @default $HYPERSDK_TOKEN */
  token?: string;
}

type AnyCall = (endpoint: string, input: object, options?: CallOptions) => Promise<unknown>;

export async function caller(target: Target): Promise<AnyCall> {
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
    if (!endpoint.startsWith("GET ")) throw oneHypervisorOnly();
    return onEach(aliases, async (alias) =>
      (await caller({ host: alias }))(endpoint, input, options),
    );
  };
}
