/** What a virsh command came to: its output, or the error that its messages mean. */
import { HyperError } from "../core/errors.ts";
import { isRead, type Lane, laneOf } from "./lanes.ts";
import type { Reply } from "./session-frames.ts";
import { outcomeUnknown, virshError, virshMessages } from "./virsh-errors.ts";

/** What a command printed, or why it failed. */
export type Outcome = string | HyperError;

const NOTICE = /^(Disconnected from .* due to|Reconnected to the hypervisor)/;
const NOT_REACHED = /^(Failed to (re)?connect to the hypervisor|Failed to connect socket to .*)/i;

/** A failure is a message on stderr, because a session has no exit code for each command. */
export function toOutcome(reply: Reply, verb: string, lane: Lane): Outcome {
  const messages = sinceReconnected(virshMessages(reply.stderr));
  if (!reply.ran) return new HyperError("unsupported", `virsh refused: ${messages.join("; ")}`);
  const errors = messages.filter((message) => !NOTICE.test(message));
  if (errors.length === 0) return reply.stdout;
  if (errors.every((message) => NOT_REACHED.test(message))) return virshError(errors, verb);
  // A lookup that loses its connection also says "failed to get domain": the notice tells them apart.
  const error = virshError(messages, verb);
  if (error.code !== "unreachable") return error;
  return isRead(lane)
    ? new HyperError("unreachable", `hypervisor: ${messages.join("; ")}`, { cause: error })
    : outcomeUnknown(verb, messages);
}

/** The failure of a command with a process of its own, by what it wrote. */
export function failureOf(stderr: string, argv: string[]): HyperError {
  const [verb = ""] = argv;
  const outcome = toOutcome({ ran: true, stdout: "", stderr }, verb, laneOf(argv));
  return typeof outcome === "string" ? virshError(virshMessages(stderr), verb) : outcome;
}

/** Without the notices that virsh had reconnected before the command began: what follows is the command's own. */
function sinceReconnected(messages: string[]): string[] {
  const begin = messages.findIndex((message) => !NOTICE.test(message));
  const last = messages[begin - 1] ?? "";
  return /^Reconnected /.test(last) ? messages.slice(begin) : messages;
}

/** Puts the hypervisor's alias, and where to look, into an error of the connection to libvirt. */
export function nameHypervisor(outcome: Outcome, alias: string): Outcome {
  if (!(outcome instanceof HyperError) || outcome.code !== "unreachable") return outcome;
  const { message, cause } = outcome;
  const remedy = /connect socket/i.test(message) ? "; is libvirtd running there?" : "";
  const text = message.replace(/^hypervisor: /, `hypervisor ${alias}: `);
  return new HyperError("unreachable", text + remedy, { cause });
}

/** Whether the connection to libvirt broke before or during the command. */
export const isLost = (outcome: Outcome): outcome is HyperError =>
  outcome instanceof HyperError &&
  (outcome.code === "unreachable" || outcome.code === "outcome_unknown");

/**
 * Some answers do not show that the connection broke while they were made: `net-list` prints "inactive",
 * `net-info` leaves lines out. virsh's notice shows it; a notice that came late, that the next command
 * reconnected.
 */
export function lostMidway(replies: Reply[]): boolean {
  return replies.some(({ stderr }, i) =>
    virshMessages(stderr).some(
      (text) => /^Disconnected /.test(text) || (i > 0 && /^Reconnected /.test(text)),
    ),
  );
}

export function timeoutError(alias: string, lane: Lane, command: string, cause: Error) {
  const text = `virsh ${command} on ${alias}: ${cause.message}`;
  const change =
    "; it may still be carried out, so look at the present state before you call again";
  return new HyperError("timed_out", lane === "change" ? text + change : text, { cause });
}

/** What a command printed; undefined when its object has gone meanwhile. Throws any other failure. */
export function unlessGone(outcome: Outcome | undefined): string | undefined {
  if (outcome instanceof HyperError && outcome.code !== "not_found") throw outcome;
  return outcome instanceof HyperError ? undefined : outcome;
}

/** What a command printed. Throws its failure. */
export function unwrap(outcome: Outcome | undefined): string {
  if (outcome instanceof HyperError) throw outcome;
  return outcome ?? "";
}
