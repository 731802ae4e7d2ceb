/** Listening to what happens: the sessions that this needs run while somebody listens, and shortly after. */
import { settings } from "../../core/settings.ts";
import type { Kind } from "../../events/fleet-event.ts";
import { KINDS } from "../../events/fleet-event.ts";
import { lingering, listen, publish, resync, tell } from "../../events/hub.ts";
import type { Filter, Listener } from "../../events/listener.ts";
import { JobSource } from "../../jobs/events.ts";
import { afterArrival, beforeClose } from "../registry.ts";
import { hypervisorEvent, lossOf } from "./loss.ts";
import { GROUPS, type Group } from "./script.ts";
import { Source } from "./source.ts";

export interface Following extends Filter {
  /** The ID of the last event that was heard before: what came after it is told first. */
  after?: string | undefined;
  /**
   * The hypervisors are all that there are, so that it ends when another one comes.
   * @default where none are named
   */
  whole?: boolean;
  /** The hypervisors have just answered: one whose events are lost is listened to at once, without the pause after failures. */
  answers?: boolean;
}

/** Something that is heard of: a group of events of a hypervisor, or the jobs. */
interface Heard {
  live: boolean;
  settled: Promise<void>;
  /** Ends the pause after a failure. */
  retry?(): void;
  close(): void;
}

interface Shared {
  key: string;
  host: string | null;
  kinds: readonly Kind[];
  source: Heard;
  listeners: number;
  linger?: NodeJS.Timeout;
}

const sources = new Map<string, Shared>();
const followers = new Map<Listener, { used: Shared[]; whole: boolean }>();

/**
 * Hears what happens until the signal comes or the loop over it ends: `for await (const event of follow({ kinds:
 * ["domain"] }, signal))`. The first event of each hypervisor is a `resync`: from then on nothing is missed. It ends also
 * when one of its hypervisors is removed or becomes another one: whoever wants to hear more begins anew.
 */
export function follow(
  { after, whole, answers, ...filter }: Following,
  signal: AbortSignal,
): Listener {
  const listener = listen(filter, after);
  const { kinds = KINDS, hosts = Object.keys(settings().hosts) } = filter;
  const used = hosts.flatMap((host) =>
    groupsOf(kinds).map((group) =>
      acquire(host, GROUPS[group].kinds, group, () => new Source(host, group)),
    ),
  );
  if (kinds.includes("job")) used.push(acquire(null, ["job"], "jobs", () => new JobSource()));
  if (answers) for (const { source } of used) source.retry?.();
  for (const shared of used) welcome(listener, shared, after !== undefined);
  followers.set(listener, { used, whole: whole ?? filter.hosts === undefined });
  const leave = () => {
    followers.delete(listener);
    signal.removeEventListener("abort", end);
    for (const shared of used.splice(0)) release(shared);
  };
  const end = () => void listener.return();
  listener.onClose = leave;
  listener.ready = Promise.all(used.map(({ source }) => source.settled)).then(() => {});
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  return listener;
}

function groupsOf(kinds: readonly Kind[]): Group[] {
  const names = Object.keys(GROUPS) as Group[];
  return names.filter((name) => GROUPS[name].kinds.some((kind) => kinds.includes(kind)));
}

/** Tells a new listener what the others have heard before. */
function welcome(listener: Listener, { host, kinds, source }: Shared, resumes: boolean) {
  const loss = host !== null && kinds.includes("hypervisor") && lossOf(host);
  if (loss) tell(listener, loss);
  else if (source.live && !resumes)
    tell(listener, resync(host, kinds, "its events are heard from now on"));
}

function acquire(
  host: string | null,
  kinds: readonly Kind[],
  what: string,
  open: () => Heard,
): Shared {
  const key = `${host}/${what}`;
  const shared = sources.get(key) ?? { key, host, kinds, source: open(), listeners: 0 };
  sources.set(key, shared);
  clearTimeout(shared.linger);
  shared.listeners++;
  return shared;
}

function release(shared: Shared) {
  if (--shared.listeners > 0) return;
  shared.linger = setTimeout(() => end(shared), lingering.ms);
  shared.linger.unref();
}

function end(shared: Shared) {
  const { key, source } = shared;
  if (sources.get(key) === shared) sources.delete(key); // a hypervisor may come back by the same alias
  source.close();
}

beforeClose((host) => {
  const closing = [...sources.values()].filter((one) => (host ?? one.host) === one.host);
  if (host !== undefined) tellGone(host, closing);
  for (const shared of closing) {
    clearTimeout(shared.linger);
    end(shared);
  }
  if (host === undefined) return; // the process ends, or a test
  for (const [listener, { used }] of followers)
    if (used.some((shared) => closing.includes(shared))) listener.close();
});

function tellGone(host: string, closing: Shared[]) {
  const kinds = [...new Set(closing.flatMap((shared) => shared.kinds))];
  if (kinds.length === 0) return;
  const why = "the hypervisor was removed, or is another one by now";
  publish(resync(host, kinds, why));
  if (kinds.includes("hypervisor") && !lossOf(host)) publish(hypervisorEvent(host, "lost", why)); // the last word
}

afterArrival(() => {
  for (const [listener, { whole }] of followers) if (whole) listener.close();
});
