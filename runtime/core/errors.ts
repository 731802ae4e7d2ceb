/**
 * Errors: one class, one table from code to HTTP status, one place that turns virsh's words into codes.
 */
import type * as z from "zod";

/** Every `code` an answer can carry, and its HTTP status. The reference knows 400, 404, 405 and 500. */
export const STATUS = {
  invalid_input: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  payload_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  headers_too_large: 431,
  already_exists: 500,
  already_active: 500,
  not_active: 500,
  in_use: 500,
  unsupported: 500,
  permission_denied: 500,
  no_space: 500,
  virsh_failed: 500,
  command_failed: 500,
  outcome_unknown: 500,
  internal: 500,
  busy: 503,
  unreachable: 503,
  function_unavailable: 503,
  audit_failed: 503,
  timed_out: 504,
  cancelled: 504,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** An error whose message may be shown to the caller. What only the log may see goes into `cause`. */
export class HyperError extends Error {
  readonly code: ErrorCode;
  /** Extra fields of the error answer, such as `issues`. */
  readonly details: Record<string, unknown>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "HyperError";
    this.code = code;
    this.details = options.details ?? {};
  }

  get status(): number {
    return STATUS[this.code];
  }
}

/** First match wins, so what looks like another kind stands above it. Source: virsh-facts, section 9. */
const virshWords = (): [ErrorCode, RegExp][] => [
  [
    "permission_denied",
    /Permission denied|authentication (failed|unavailable)|access denied|operation forbidden/i,
  ],
  ["unreachable", /Failed to (re)?connect|Cannot recv data|Cannot write data|keepalive timeout/i],
  ["unreachable", /End of file while reading|client socket is closed|Disconnected from/i],
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

/** What virsh wrote to standard error, as messages: `error: ` starts one, and each may have many lines. */
export function virshMessages(stderr: string): string[] {
  const [, ...messages] = `\n${stderr}`.split(/\nerror: /);
  return messages.map((message) => message.trim()).filter((message) => message !== "");
}

/** A name in quotes can hold any words, so it does not count. */
function codeOf(text: string): ErrorCode | undefined {
  const words = text.replace(/'.*'/g, "''");
  return virshWords().find(([, pattern]) => pattern.test(words))?.[0];
}

/** The error that another program's last words mean, such as qemu-img's. */
export function programError(
  program: string,
  { stderr, exitCode }: { stderr: string; exitCode: number },
) {
  const said = stderr.trim() || `exit status ${exitCode}`;
  return new HyperError(codeOf(stderr) ?? "command_failed", `${program}: ${said}`);
}

/** The error that virsh's messages mean. */
export function virshError(messages: string[], command: string): HyperError {
  const code = codeOf(messages.join("\n")) ?? "virsh_failed";
  // virsh says what failed and libvirt why, in any order: the reason is enough where there is one
  const reasons = messages.filter((message) => !/^failed to /i.test(message));
  const said = (reasons.length > 0 ? reasons : messages)
    .map((message) => message.replace(/^failed to get (\w+) ('.*')$/, "$1 $2 not found"))
    .join("; ");
  const text = code === "unreachable" ? `hypervisor: ${said}` : said;
  return new HyperError(code, text || `virsh ${command} failed without saying why`, {
    cause: { command, messages },
  });
}

/** The connection broke while the command ran: nobody can say from here whether it was done. */
export function outcomeUnknown(command: string, cause: unknown): HyperError {
  return new HyperError(
    "outcome_unknown",
    `The connection to the hypervisor was lost while "virsh ${command}" ran. It was not repeated; ` +
      "look at the object's present state before you call again.",
    { cause },
  );
}

/** One line a problem, each naming the field and what is allowed. */
export function inputError(error: z.core.$ZodError): HyperError {
  const issues = error.issues.map((issue) => ({
    path: issue.path.join("."),
    message: sentence(issue),
  }));
  const text = issues.map(({ path, message }) => (path ? `${path}: ${message}` : message));
  return new HyperError("invalid_input", text.join("; "), { cause: error, details: { issues } });
}

function sentence(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    const keys = issue.keys.map((key) => JSON.stringify(key)).join(", ");
    return `unknown ${issue.keys.length > 1 ? "keys" : "key"} ${keys}`;
  }
  const missing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  return missing ? `required (${issue.expected})` : issue.message;
}
