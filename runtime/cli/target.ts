/** Where a call goes: to a hypervisor, from this process, or to a server. */
import type { CallOptions } from "../client/api.ts";
import { HyperError } from "../core/errors.ts";

export interface Target {
  /** An alias or a libvirt URI; `kvm1,kvm2` or `*` for a read of several. */
  host?: string;
  server?: string;
  /** @default $HYPERSDK_TOKEN */
  token?: string;
}

type AnyCall = (endpoint: string, input: object, options?: CallOptions) => Promise<unknown>;

export const isSeveral = (host = "") => host === "*" || host.includes(",");

export async function caller({ host, server, token = process.env.HYPERSDK_TOKEN }: Target) {
  if (server) {
    const { createClient } = await import("../client/client.ts");
    return createClient(server, { host, token }) as AnyCall;
  }
  if (isSeveral(host)) return callEach(host);
  const { connect } = await import("../client/connect.ts");
  return connect(host?.includes("://") ? { uri: host } : { host }) as AnyCall;
}

/** As a server does with `?host=kvm1,kvm2`. */
async function callEach(host: string | undefined): Promise<AnyCall> {
  const { onEach, severalHosts } = await import("../http/fleet.ts");
  const hosts = severalHosts(host) ?? [];
  return async (endpoint, input, options) => {
    if (endpoint.startsWith("GET ")) {
      return onEach(hosts, async (alias) =>
        (await caller({ host: alias }))(endpoint, input, options),
      );
    }
    const text = "host: a call that changes something takes one hypervisor";
    throw new HyperError("invalid_input", text);
  };
}
