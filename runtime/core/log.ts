/** The log goes to standard error, so that a script's own output stays clean; `LOG_LEVEL` sets how much. */
import type { DestinationStream, Logger as PinoLogger } from "pino";

type Said = [text: string] | [about: object, text: string];

export interface Logger {
  /** One level for all loggers: lines below it are not written. */
  level: string;
  trace(...said: Said): void;
  debug(...said: Said): void;
  info(...said: Said): void;
  warn(...said: Said): void;
  error(...said: Said): void;
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

let opened: PinoLogger | undefined;
let level = process.env.LOG_LEVEL ?? "warn";
if (!LEVELS.includes(level)) throw new Error(`LOG_LEVEL: must be one of ${LEVELS.join(", ")}`);

class Lines implements Logger {
  readonly #call: object;

  /** The fields of `call` are in each line. */
  constructor(call: object) {
    this.#call = call;
  }

  get level() {
    return level;
  }

  set level(value) {
    level = value;
    if (opened) opened.level = value;
  }

  trace(...said: Said) {
    this.#write("trace", said);
  }

  debug(...said: Said) {
    this.#write("debug", said);
  }

  info(...said: Said) {
    this.#write("info", said);
  }

  warn(...said: Said) {
    this.#write("warn", said);
  }

  error(...said: Said) {
    this.#write("error", said);
  }

  #write(at: "trace" | "debug" | "info" | "warn" | "error", [about, text]: Said) {
    if (LEVELS.indexOf(at) < LEVELS.indexOf(level)) return;
    opened ??= open(); // pino takes 20 ms to load, so it comes with the first line that is written
    const fields = typeof about === "string" ? this.#call : { ...about, ...this.#call };
    opened[at](fields, typeof about === "string" ? about : text);
  }
}

/** For lines that belong to no single call. */
export const log: Logger = new Lines({});

/** For one call, whose ID is in its lines. */
export const logOf = (request_id: string): Logger => new Lines({ request_id });

/** A full disk costs lines, and no answers: up to 1 MB of lines waits, and more is lost. */
function file({ destination }: typeof import("pino")): DestinationStream {
  const lines = destination({ dest: 2, sync: true, maxLength: 1e6 });
  return lines.on("error", () => {});
}

/** What Bun throws of a module that is not there has methods that are of use to nothing but itself. */
const plain = (error: unknown) =>
  error instanceof Error && "toJSON" in error ? new Error(error.message) : (error as Error);

function open(): PinoLogger {
  const { pino } = require("pino") as typeof import("pino");
  /** An error as text with its stack; zod's are said by the message already. */
  const seen = (cause: unknown) =>
    cause instanceof Error && cause.name !== "ZodError" ? pino.stdSerializers.err(cause) : cause;
  const terminal = (): DestinationStream => {
    const { default: pretty } = require("pino-pretty");
    return pretty({ destination: 2, sync: true, ignore: "pid,hostname" });
  };
  const target = process.stderr.isTTY ? terminal() : file(pino);
  const serializers = {
    error: (error: unknown) => pino.stdSerializers.err(plain(error)),
    cause: seen,
  };
  return pino({ level, serializers }, target);
}
