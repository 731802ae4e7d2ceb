/** The samplers of this process, one a hypervisor. What they have measured is kept for an hour. */
import { beforeClose } from "../../hypervisor/registry.ts";
import { Sampler } from "./sampler.ts";

const EXPIRE_MS = 300_000;

const samplers = new Map<string, Sampler>();
let timer: NodeJS.Timeout | undefined;

export function samplerOf(host: string): Sampler {
  const sampler = samplers.get(host) ?? new Sampler(host);
  samplers.set(host, sampler);
  timer ??= setInterval(expire, EXPIRE_MS);
  timer.unref();
  return sampler;
}

/** Undefined where nobody has looked within the hour. */
export const knownSampler = (host: string) => samplers.get(host);

function expire() {
  for (const [host, sampler] of samplers)
    if (sampler.table.expire() && !sampler.isWatched) samplers.delete(host);
  if (samplers.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

beforeClose((only) => {
  if (only === undefined) for (const sampler of samplers.values()) sampler.stop();
});
