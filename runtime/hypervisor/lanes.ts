/**
 * Which virsh commands may run on a warm session, and in which lane. Reads, changes and guest-agent calls
 * have sessions of their own, so that a stuck one starves no other. A command that is not listed here counts
 * as a change, and is never repeated.
 */
import { HyperError } from "../core/errors.ts";

export type Lane = "read" | "stats" | "change" | "agent";

export const isRead = (lane: Lane) => lane === "read" || lane === "stats";

/** The verbs in lines of verbs. */
const verbs = (...lines: string[]) => new Set(lines.join(" ").split(" "));

const READS = verbs(
  "capabilities domcapabilities nodeinfo uri version list dominfo domstate domuuid domid domname dumpxml",
  "domblklist domblkinfo domblkstat domblkerror domiflist domifstat domif-getlink domifaddr domcontrol",
  "domjobinfo domstats dommemstat cpu-stats vcpucount vcpuinfo domdisplay vncdisplay ttyconsole",
  "net-list net-info net-dumpxml net-dhcp-leases net-uuid net-name pool-name pool-uuid",
  "pool-list pool-info pool-dumpxml pool-capabilities vol-list vol-info vol-dumpxml vol-path vol-key vol-name vol-pool",
  "snapshot-list snapshot-info snapshot-dumpxml snapshot-current snapshot-parent",
  "checkpoint-list checkpoint-dumpxml desc metadata echo",
);

const AGENT = verbs("guestinfo domfsinfo domtime domhostname guestvcpus qemu-agent-command");

/** Commands that wait for a person, an event or standard input, and would block or end the session. */
const REFUSED = verbs(
  "edit net-edit pool-edit vol-edit snapshot-edit save-image-edit iface-edit nwfilter-edit console",
  "quit exit cd connect event net-event pool-event secret-event nodedev-event",
);

/** Groups of `domstats` that ask QEMU and hang with it, so they take no session from other reads. */
const MONITOR = /^--(cpu-total|vcpu|balloon|block)$/;

/** The options with which `desc` and `metadata` write. */
const SETTERS = /^--(set|remove|edit|new-desc|title|config|live)/;

export function laneOf([verb = "", ...options]: string[]): Lane {
  if (!/^[a-z][a-z-]*$/.test(verb) || REFUSED.has(verb)) {
    throw new HyperError("internal", `virsh ${verb} cannot run on a session`);
  }
  if (AGENT.has(verb) || (verb === "domifaddr" && options.includes("agent"))) return "agent";
  if (verb === "domstats" && options.some((option) => MONITOR.test(option))) return "stats";
  const sets = /^(desc|metadata)$/.test(verb) && options.some((option) => SETTERS.test(option));
  const looks = verb === "blockjob" && options.some((option) => /^--(raw|info)$/.test(option));
  return (READS.has(verb) && !sets) || looks ? "read" : "change";
}
