/** Domains that have crashed, or that an I/O error has paused. */
import type { Context } from "../hypervisor/context.ts";
import { listDomains } from "../libvirt/domain/domain.ts";
import { parseDomstats } from "../libvirt/stats/domstats.ts";
import type { Reading } from "./reading.ts";

/** libvirt's virDomainState and the reasons of two of them (source: libvirt-domain.h). */
const STATE = { paused: "3", off: "5", crashed: "6" };
const PAUSED = { ioError: "5", crashed: "10" };
const OFF = { unknown: "0", crashed: "3", daemon: "8" };

interface State {
  name: string;
  state: string;
  reason: string;
}

export async function readStates(ctx: Context): Promise<State[]> {
  const domains = await listDomains(ctx, "--all");
  const names = domains.map(({ name }) => name);
  const stats = parseDomstats(await ctx.virsh(["domstats", "--state"]), names);
  return names.flatMap((name) => {
    const fields = stats.get(name)?.fields;
    if (!fields) return []; // it has gone meanwhile
    return [{ name, state: `${fields["state.state"]}`, reason: `${fields["state.reason"]}` }];
  });
}

/** A libvirtd that was restarted does not know any more why a domain is off: then nothing is known. */
export function isCrashed({ state, reason }: State): boolean | null {
  if (state === STATE.crashed || (state === STATE.paused && reason === PAUSED.crashed)) return true;
  if (state !== STATE.off) return false;
  if (reason === OFF.unknown || reason === OFF.daemon) return null;
  return reason === OFF.crashed;
}

export const isPausedByIo = ({ state, reason }: State) =>
  state === STATE.paused && reason === PAUSED.ioError;

const reading = (host: string, object: string, holds: boolean | null, words: string): Reading => ({
  ...{ host, object, value: holds === null ? null : Number(holds) },
  detail: holds ? words : "",
});

export const CRASHED = "has crashed";
export const PAUSED_BY_IO = "is paused by an I/O error";

export const crashedDomains = async (ctx: Context) =>
  (await readStates(ctx)).map((one) => reading(ctx.host, one.name, isCrashed(one), CRASHED));

export const pausedDomains = async (ctx: Context) =>
  (await readStates(ctx)).map((one) =>
    reading(ctx.host, one.name, isPausedByIo(one), PAUSED_BY_IO),
  );
