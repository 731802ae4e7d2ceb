/** For scripts: `connect({ host: "kvm1" })` calls functions in this process on one hypervisor. */

import { HyperError } from "../core/errors.ts";
import { uriProblem } from "../core/libvirt-uri.ts";
import { settings, unknownHypervisor } from "../core/settings.ts";
import { loadFunction } from "../function/load.ts";
import { closeHypervisors } from "../hypervisor/registry.ts";
import type { Call, CallOptions } from "./types.ts";

export type { Api, Call, CallOptions, Data, Endpoint, Input } from "./types.ts";
export { HyperError };

export interface ConnectOptions {
  /** An alias of the configuration; its `default_host` unless given. With `uri`: any name for it. */
  host?: string | undefined;
  /** A libvirt URI that the configuration does not name, such as `qemu+ssh://root@kvm1/system`. */
  uri?: string | undefined;
}

/** Calls endpoints, and is the hypervisor option of an imported function: `networks({}, kvm1)`. */
export interface Connection extends Call, AsyncDisposable {
  readonly host: string;
  /** Ends its sessions and running commands now; otherwise they end with the script. */
  close(): Promise<void>;
}

/** Connects with the first call. Throws `invalid_input` for an alias that is not configured. */
export function connect({ uri, host }: ConnectOptions = {}): Connection {
  const alias = host ?? uri ?? settings().default_host;
  const { hosts } = settings();
  if (uri !== undefined) {
    const problem = uriProblem(uri);
    if (problem) throw new HyperError("invalid_input", `uri: ${problem}`);
    if ((hosts[alias]?.uri ?? uri) !== uri) {
      throw new HyperError("invalid_input", `host: ${alias} is already ${hosts[alias]?.uri}`);
    }
    hosts[alias] = { uri };
  }
  if (!Object.hasOwn(hosts, alias)) throw unknownHypervisor([alias]);
  const call = async (endpoint: string, input = {}, options: CallOptions = {}) => {
    const one = await loadFunction(`${endpoint.split(" ")[1]}`);
    const { host = alias, signal } = options;
    return one(input, { host, ...(signal && { signal }) });
  };
  const close = () => closeHypervisors(alias);
  return Object.assign(call as Call, { host: alias, close, [Symbol.asyncDispose]: close });
}
