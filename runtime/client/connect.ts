/** For scripts: `connect({ host: "kvm1" })` calls functions in this process on one hypervisor. */

import { HyperError } from "../core/errors.ts";
import { uriProblem } from "../core/libvirt-uri.ts";
import { settings, unknownHypervisor } from "../core/settings.ts";
import { loadFunction } from "../function/load.ts";
import { closeHypervisors } from "../hypervisor/registry.ts";
import { createClient } from "./client.ts";
import { followEvents } from "./follow-events.ts";
import { openJob } from "./job.ts";
import type { Call, CallOptions, JobOptions } from "./types.ts";

export type * from "./types.ts";
export { HyperError, openJob };

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

/** Hypervisors that only this process knows. */
const unconfigured = new Set<string>();

/**
 * What needs the database, a job or a key, is done by the function as it answers a server's client; the request does
 * not leave this process.
 */
const served = createClient("http://localhost", {
  async fetch(url, init) {
    const one = await loadFunction(new URL(url).pathname);
    return one.fetch(new Request(url, init));
  },
});

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
    if (!Object.hasOwn(hosts, alias)) unconfigured.add(alias);
    hosts[alias] = { uri };
  }
  if (!Object.hasOwn(hosts, alias)) throw unknownHypervisor([alias]);
  const call = async (endpoint: string, input = {}, options: CallOptions | JobOptions = {}) => {
    const { host = alias, signal, wait, idempotencyKey } = options;
    const { body } = options as CallOptions;
    if (wait === false && unconfigured.has(host)) {
      const text = "a job needs one of the configuration, where its worker finds it";
      throw new HyperError("invalid_input", `host: ${text}`);
    }
    if (wait === false || idempotencyKey !== undefined) {
      return served(endpoint as "POST /jobs/submit", input, { ...options, host } as CallOptions);
    }
    const one = await loadFunction(`${endpoint.split(" ")[1]}`);
    const { progress } = options;
    if (one.spec.body && !body && !endpoint.startsWith("GET "))
      throw new HyperError("invalid_input", "body: required");
    const given = {
      ...(signal && { signal }),
      ...(progress && { progress }),
      ...(body && { body }),
    };
    return one(input, { host, ...given });
  };
  const close = () => closeHypervisors(alias);
  const made = Object.assign(call as Call, {
    events: (...filter: Parameters<Call["events"]>) => followEvents(made, ...filter),
    ...{ host: alias, close, [Symbol.asyncDispose]: close },
  });
  return made;
}
