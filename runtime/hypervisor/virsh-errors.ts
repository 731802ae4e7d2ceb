/** Turns the messages of virsh, and of other programs, into error codes. */
import { type ErrorCode, HyperError } from "../core/errors.ts";

/** The first match wins, so a message that also matches a later pattern stands above it. Source: virsh-facts, section 9. */
const virshWords = (): [ErrorCode, RegExp][] => [
  [
    "permission_denied",
    /Permission denied|authentication (failed|unavailable)|access denied|operation forbidden/i,
  ],
  ["unreachable", /Failed to (re)?connect|Cannot recv data|Cannot write data|keepalive timeout/i],
  ["unreachable", /End of file while reading|client socket is closed|Disconnected from/i],
  ["busy", /is still being allocated/], // libvirtd goes on with a copy whose virsh was killed
  ["already_active", /is already (active|running)|already active/],
  ["already_exists", /already exists|exists already|name '' already in use/],
  ["in_use", /already in use|is in use|Failed to get .*lock|Is another process using/],
  ["not_active", /is not (active|running)/],
  ["not_found", /[Nn]ot found: |^failed to get (domain|network|pool|vol|interface) ''/m],
  ["not_found", /No (interface|disk) .*found|interface '' not found|no domain snapshot/],
  ["no_space", /No space left on device|File too large|not enough free space/i],
  ["timed_out", /Timed out during operation|cannot acquire state change lock/],
  ["invalid_input", /^invalid argument: |^XML error: |Numeric value .* is malformed/m],
  ["unsupported", /not supported|does not support|unsupported (configuration|flags)/],
];

/** Splits stderr into messages: `error: ` starts one, and each may have many lines. */
export function virshMessages(stderr: string): string[] {
  const [, ...messages] = `\n${stderr}`.split(/\nerror: /);
  return messages.map((message) => message.trim()).filter((message) => message !== "");
}

/** Ignores names in quotes, those of other languages too, which can hold any words. */
function codeOf(text: string): ErrorCode | undefined {
  const words = text.replace(/'.*'|«.*»|„.*[“”]|“.*”|‘.*’|‚.*‘|「.*」/g, "''");
  return virshWords().find(([, pattern]) => pattern.test(words))?.[0];
}

/** The error that the stderr of another program means, such as qemu-img's. */
export function programError(
  program: string,
  { stderr, exitCode }: { stderr: string; exitCode: number },
) {
  const reason = stderr.trim() || `exit status ${exitCode}`;
  return new HyperError(codeOf(stderr) ?? "command_failed", `${program}: ${reason}`);
}

/** The error that virsh's messages mean. */
export function virshError(messages: string[], command: string): HyperError {
  const code = codeOf(messages.join("\n")) ?? "virsh_failed";
  // virsh reports the command that failed and libvirt the reason, in any order: a reason is enough
  const reasons = messages.filter((message) => !/^failed to /i.test(message));
  const message = (reasons.length > 0 ? reasons : messages)
    .map((message) => message.replace(/^failed to get (\w+) ('.*')$/, "$1 $2 not found"))
    .join("; ");
  const text = code === "unreachable" ? `hypervisor: ${message}` : message;
  return new HyperError(code, text || `virsh ${command} failed without saying why`, {
    cause: { command, messages },
  });
}

/** The connection broke while the command ran, so its outcome cannot be known from here. */
export function outcomeUnknown(command: string, cause: unknown): HyperError {
  return new HyperError(
    "outcome_unknown",
    `The connection to the hypervisor was lost while "virsh ${command}" ran. It was not repeated; ` +
      "look at the object's present state before you call again.",
    { cause },
  );
}
