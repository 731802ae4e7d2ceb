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
  payload_too_large: "the body is larger than this server allows",
  unsupported_media_type: "the body is not `application/json`",
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
  internal: "a mistake of this server, whose log says more",
  busy: "too many calls are at work or waiting; `Retry-After` says when to try again",
  unreachable: "the hypervisor cannot be reached",
  audit_failed: "the audit log cannot be written, so nothing is changed",
  function_unavailable: "the function's file did not load; the server's log says why",
  timed_out: "it took too long",
  cancelled: "the client disconnected, or the server is ending",
};

/** Codes that no described operation answers: they belong to other methods, and to files that do not load. */
const ELSEWHERE: ErrorCode[] = ["method_not_allowed", "function_unavailable"];

const CODES = (Object.keys(STATUS) as ErrorCode[]).filter((code) => !ELSEWHERE.includes(code));

const OF_A_BODY: number[] = [413, 415];

/** The statuses of errors that a function can answer; `named`: its input can name an object that does not exist. */
export function errorStatuses({ method, named }: { method: string; named: boolean }): number[] {
  return [...new Set(CODES.map((code) => STATUS[code] as number))].filter(
    (status) => (status !== 404 || named) && (method === "POST" || !OF_A_BODY.includes(status)),
  );
}

/** The name of a status' answer among the components: `NotFound`. */
export const errorName = (status: number) => `${STATUS_CODES[status]}`.replace(/\W/g, "");

/** All error answers, by name. */
export function errorAnswers(shared: Record<string, JsonSchema>) {
  const statuses = errorStatuses({ method: "POST", named: true });
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
