/** The errors of an API description: the meaning of each code, and one answer for each HTTP status. */
import { STATUS_CODES } from "node:http";
import * as z from "zod";
import { type ErrorCode, STATUS } from "../core/errors.ts";
import { type JsonSchema, jsonSchema } from "./openapi-schema.ts";

const MEANING: Record<ErrorCode, string> = {
  invalid_input:
    "a parameter or the body is missing, malformed or not allowed; `issues` has each field",
  unauthorized: "a token is needed, or the one given is unknown, revoked or expired",
  forbidden: "the caller may not do this; `missing` names the permission",
  not_found: "there is no such domain, network, pool, volume, interface, snapshot or path",
  method_not_allowed: "the path is for another method, which `Allow` names",
  idempotency_conflict: "a call with this Idempotency-Key is still at work",
  idempotency_mismatch: "this Idempotency-Key was used for another call",
  precondition_failed: "the bytes are others than those of `If-Match`",
  payload_too_large: "the body is larger than this server allows",
  unsupported_media_type: "the body is not `application/json`",
  range_not_satisfiable: "`Range` begins beyond the end; `size` says where that is",
  rate_limited:
    "more calls in a second than this server allows; `Retry-After` says when to try again",
  headers_too_large: "the URL and the headers are larger than this server allows",
  already_exists: "there is something of that name",
  already_active: "it is running",
  not_active: "it is not running",
  in_use: "something uses it; the message says what",
  unsupported: "the hypervisor cannot do this, or lacks a program for it",
  permission_denied: "libvirt or the file system does not allow it",
  no_space: "the storage is full",
  virsh_failed: "virsh failed for another reason, which the message gives",
  command_failed: "another program on the hypervisor failed",
  outcome_unknown: "the connection broke while something was changed: look before you repeat it",
  superseded: "another worker has taken the job over",
  internal: "a mistake of this server, whose log says more",
  busy: "too many calls are at work or waiting; `Retry-After` says when to try again",
  unreachable: "the hypervisor cannot be reached",
  audit_failed: "the audit log cannot be written, so nothing is changed",
  function_unavailable:
    "the function's file did not load, or the database that it needs is not available",
  timed_out: "it took too long",
  cancelled: "the client disconnected, or the server is ending",
};

/** Codes that no described operation answers: they belong to other methods, and to files that do not load. */
const ELSEWHERE: ErrorCode[] = ["method_not_allowed", "function_unavailable"];

const CODES = (Object.keys(STATUS) as ErrorCode[]).filter((code) => !ELSEWHERE.includes(code));

const OF_JSON: number[] = [413];
const OF_A_BODY: number[] = [413, 415];
const OF_A_RANGE: number[] = [412, 416];
/** Of an `Idempotency-Key`. */
const OF_A_KEY: number[] = [409, 422];

interface Answering {
  /** What the body is; undefined without one. */
  body?: "json" | "bytes" | undefined;
  /** The answer is bytes, of which a part can be asked for. */
  ranges?: boolean;
  /** Its input can name an object that does not exist. */
  named: boolean;
  /** It may be done once for a key. */
  keyed: boolean;
}

/** The statuses of errors that a function can answer. */
export function errorStatuses({ body, ranges = false, named, keyed }: Answering): number[] {
  return [...new Set(CODES.map((code) => STATUS[code] as number))].filter(
    (status) =>
      (status !== 404 || named) &&
      (body || !OF_A_BODY.includes(status)) &&
      (body !== "bytes" || !OF_JSON.includes(status)) &&
      (ranges || !OF_A_RANGE.includes(status)) &&
      (keyed || !OF_A_KEY.includes(status)),
  );
}

/** The name of a status' answer among the components: `NotFound`. */
export const errorName = (status: number) => `${STATUS_CODES[status]}`.replace(/\W/g, "");

/** All error answers, by name; `ranges`: those of bytes too. */
export function errorAnswers(shared: Record<string, JsonSchema>, ranges: boolean) {
  const statuses = errorStatuses({ body: "json", ranges, named: true, keyed: true });
  return Object.fromEntries(statuses.map((status) => [errorName(status), answer(status, shared)]));
}

function answer(status: number, shared: Record<string, JsonSchema>) {
  const codes = CODES.filter((code) => STATUS[code] === status);
  const [code = "internal"] = codes;
  const issues = z.array(z.object({ path: z.string(), message: z.string() }));
  const shape = z.looseObject({
    error: z.string().describe("for people"),
    code: z.enum(codes),
    ...(status === 400 && { issues: issues.optional().describe("what is wrong, field by field") }),
    request_id: z.string().optional().describe("as in `X-Request-Id` and in the server's log"),
    timestamp: z.iso.datetime(),
  });
  const example = { error: MEANING[code], code, timestamp: "2026-01-19T12:30:00Z" };
  return {
    description: codes.map((one) => `\`${one}\`: ${MEANING[one]}`).join("; "),
    content: { "application/json": { schema: jsonSchema(shape, "output", shared), example } },
  };
}
