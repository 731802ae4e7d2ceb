/** What `virsh console` writes: its own words before the guest's, and after them when it fails. */
import { type ErrorCode, HyperError } from "../core/errors.ts";
import { CLOSED } from "../core/socket.ts";

/** The last of virsh's own lines. polkit, from libvirt 11.3 on, may have written before. */
const PREFACE = /Escape character is [^\n]*\n/;
const MAX_PREFACE = 16 * 1024;

/** Splits virsh's words from the guest's bytes; the latter are undefined until they begin. */
export function preface() {
  let text = Buffer.alloc(0);
  return (bytes: Uint8Array): Uint8Array | undefined => {
    text = Buffer.concat([text, bytes]);
    const [before] = PREFACE.exec(text.toString("latin1")) ?? [];
    if (before !== undefined)
      return text.subarray(text.toString("latin1").indexOf(before) + before.length);
    return text.length > MAX_PREFACE ? text : undefined;
  };
}

/** What viewers are told when it ends. `why`: its domain runs no more, or elsewhere, whatever virsh says of it. */
export const consoleEnd = (error: HyperError | undefined, why: string | undefined) =>
  error && why === undefined
    ? { code: CLOSED.failed, reason: `${error.code}: ${error.message}` }
    : { code: CLOSED.done, reason: why ?? "the console has ended" };

/** virsh's last words, which end up behind those of the guest. */
export function consoleError(end: string, name: string): HyperError | undefined {
  const messages = [...end.matchAll(/(?:^|[\r\n])error: ([^\r\n]+)/g)].map(([, text]) => `${text}`);
  const message = messages.join("; ").replace(/^operation failed: /, "");
  if (message === "") return undefined;
  if (/Active console session exists/.test(message)) {
    const text = `the serial console of domain ${name} is open elsewhere; force takes it over`;
    return new HyperError("in_use", text);
  }
  return new HyperError(codeOf(message), `console of domain ${name}: ${message}`);
}

const codeOf = (message: string): ErrorCode => {
  if (/domain is not running|not active/.test(message)) return "not_active";
  if (/cannot find|[Nn]ot found|failed to get domain/.test(message)) return "not_found";
  if (/not using a PTY|unable to open console|not supported/i.test(message)) return "unsupported";
  return "virsh_failed";
};

/** How much of the end of `log` is the begin of `output`: both are of the same guest, the log was read later. */
export function overlap(log: Buffer, output: Buffer): number {
  for (let length = Math.min(log.length, output.length); length > 0; length--) {
    if (log.subarray(log.length - length).equals(output.subarray(0, length))) return length;
  }
  return 0;
}
