/** What the body of an answer says: its data, or its error. */
import type { ErrorCode } from "../core/errors.ts";
import { RemoteError } from "./remote-error.ts";

type Body = Record<string, unknown>;

/** The `data` of the envelope, or the whole body where there is none. */
export const dataOf = (body: Body): unknown => (body.status === "success" ? body.data : body);

export function errorOf(status: number, { error, code, timestamp, ...details }: Body): RemoteError {
  return new RemoteError(status, code as ErrorCode, `${error}`, details);
}
