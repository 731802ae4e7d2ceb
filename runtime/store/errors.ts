/** What the driver's errors mean. No message has a part of the URL in it, which may hold a password. */
import { HyperError } from "../core/errors.ts";

export function unavailable(reason: string, cause?: unknown): HyperError {
  return new HyperError("function_unavailable", `the database is not available: ${reason}`, {
    cause,
  });
}

/** By SQLSTATE, or its class of two characters (source: PostgreSQL, appendix A), or the code of Node's system errors. */
const REASONS: Record<string, string> = {
  "08": "the connection to it was lost",
  "25006": "it only allows reading, as a standby server does",
  "28": "it does not let this server log in; [database] url names the user and the password",
  "3D000": "it has no database of the name in [database] url",
  "53": "it has no memory or no resource left",
  "53100": "no space is left on its disk",
  "53300": "it has no connection left",
  "57014": "it took too long to answer",
  "57P": "it is starting or ending",
  "58": "it cannot read or write its files",
  ECONNREFUSED: "nothing listens at its address",
  ECONNRESET: "the connection to it was lost",
  EPIPE: "the connection to it was lost",
  ENOENT: "its Unix socket is not there",
  EACCES: "its Unix socket may not be opened",
  ENOTFOUND: "the name of its machine is unknown",
  EAI_AGAIN: "the name of its machine cannot be looked up now",
  ETIMEDOUT: "it does not answer",
  EHOSTUNREACH: "its machine cannot be reached",
  ENETUNREACH: "its machine cannot be reached",
};

/** Errors of the driver that have no code (source: pg and pg-pool, `new Error(`). */
const WORDS: [RegExp, string][] = [
  [
    /Connection terminated|Client has encountered a connection error/,
    "the connection to it was lost",
  ],
  [/timeout exceeded|Query read timeout|timeout expired/, "it does not answer"],
  [
    /SASL|password/,
    "it does not let this server log in; [database] url names the user and the password",
  ],
  [/SSL|certificate|self.signed/, "its TLS is not what [database] url asks for"],
];

/** The error of a database that is away, full or closed to us; undefined for one that a statement itself has caused. */
export function unavailableBy(error: unknown): HyperError | undefined {
  const { code = "", message = "", syscall } = error as NodeJS.ErrnoException;
  if (code === "ERR_INVALID_URL") return unavailable("[database] url cannot be read"); // the cause has the URL in it
  if (syscall === "open" || code === "EISDIR")
    return unavailable("a file that [database] url names cannot be read", error);
  const state = /^[0-9A-Z]{5}$/.test(code) ? [code, code.slice(0, 3), code.slice(0, 2)] : [code];
  const known = state.map((key) => REASONS[key]).find((reason) => reason !== undefined);
  const reason = known ?? WORDS.find(([words]) => words.test(message))?.[1];
  return reason === undefined ? undefined : unavailable(reason, error);
}

/** The error to throw: `function_unavailable` where that is the reason, else the error itself. */
export const databaseError = (error: unknown) =>
  error instanceof HyperError ? error : (unavailableBy(error) ?? error);

/** Whether the reason is that it starts or ends right now, and another attempt to connect may do. */
export function startsOrEnds(error: unknown): boolean {
  const {
    code = "",
    message = "",
    syscall,
  } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  if (syscall !== undefined && syscall !== "connect") return false;
  return /^(57P..|ECONNREFUSED|ECONNRESET|EPIPE|ENOENT)$/.test(code) || /terminated/.test(message);
}
