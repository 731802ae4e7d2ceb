/** Errors: one class, and one table from code to HTTP status. */
import type * as z from "zod";

/** Every `code` an answer can carry, and its HTTP status. The reference knows 400, 404, 405 and 500. */
export const STATUS = {
  invalid_input: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  idempotency_conflict: 409,
  precondition_failed: 412,
  payload_too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  idempotency_mismatch: 422,
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
  superseded: 500,
  internal: 500,
  busy: 503,
  unreachable: 503,
  function_unavailable: 503,
  audit_failed: 503,
  timed_out: 504,
  cancelled: 504,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** The hypervisor was away, or was lost in the middle of a command. */
const LOST: unknown[] = ["unreachable", "outcome_unknown"] satisfies ErrorCode[];

export const isLost = (code: unknown) => LOST.includes(code);

/** An error whose message may be shown to the caller. The `cause` is for the log alone. */
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

/** The only text that a caller gets of an unexpected error. */
export const INTERNAL = "internal error; the server's log says more";

/** An unexpected error in the words that a caller may see; the error itself becomes the cause, for the log. */
export function toHyperError(error: unknown): HyperError {
  if (error instanceof HyperError) return error;
  return new HyperError("internal", INTERNAL, { cause: error });
}

/** The fields by which any answer tells an error. */
export const errorFields = ({ message, code, details }: HyperError) => ({
  error: message,
  code: code as string,
  ...details,
});

/** One sentence for each problem, which names the field and the allowed values. `at`: where the input stands in a larger one. */
export function inputError(error: z.core.$ZodError, at: string[] = []): HyperError {
  const issues = issuesOf(error).map((issue) => ({
    path: [...at, ...issue.path].join("."),
    message: sentence(issue),
  }));
  const text = issues.map(({ path, message }) => (path ? `${path}: ${message}` : message));
  return new HyperError("invalid_input", text.join("; "), { cause: error, details: { issues } });
}

/** Of a union, the issues of the one alternative that may be meant: all others are of another type. */
export const issuesOf = ({ issues }: z.core.$ZodError) => issues.flatMap(meant);

function meant(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  const isOther = (one: z.core.$ZodIssue) => one.code === "invalid_type" && one.path.length === 0;
  const [first = [], ...others] = issue.errors.filter((errors) => !errors.some(isOther));
  if (first.length === 0 || others.length > 0) return [issue];
  return first.map((one) => ({ ...one, path: [...issue.path, ...one.path] })).flatMap(meant);
}

function sentence(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    const keys = issue.keys.map((key) => JSON.stringify(key)).join(", ");
    return `unknown ${issue.keys.length > 1 ? "keys" : "key"} ${keys}`;
  }
  const tried = issue.code === "invalid_union" ? issue.errors.flat() : [issue];
  const types = tried.filter((one) => one.code === "invalid_type");
  if (types.length < tried.length || types.length === 0) return issue.message;
  const expected = types.map((one) => one.expected).join(" or ");
  const [, received] = types[0]?.message.match(/received (\w+)$/) ?? [];
  if (received === "undefined") return `required (${expected})`;
  return types.length > 1
    ? `Invalid input: expected ${expected}, received ${received}`
    : issue.message;
}
