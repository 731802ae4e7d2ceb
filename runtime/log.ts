/** The log goes to standard error, so that a script's own output stays clean; `LOG_LEVEL` sets how much. */
import type { DestinationStream, LogFn, Logger as PinoLogger } from "pino";
import { requestId } from "./running.ts";

export type Logger = Pick<PinoLogger, "level" | "debug" | "info" | "warn" | "error">;

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

let opened: PinoLogger | undefined;
let level = process.env.LOG_LEVEL ?? "warn";
if (!LEVELS.includes(level)) throw new Error(`LOG_LEVEL: must be one of ${LEVELS.join(", ")}`);

/** pino takes 20 ms to load, so it comes with the first line that is written. */
export const log: Logger = {
  get level() {
    return level;
  },
  set level(value) {
    level = value;
    if (opened) opened.level = value;
  },
  debug: line("debug"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
};

function line(at: "debug" | "info" | "warn" | "error"): LogFn {
  return (...said: Parameters<LogFn>) => {
    if (LEVELS.indexOf(at) < LEVELS.indexOf(level)) return;
    opened ??= open();
    opened[at](...said);
  };
}

function open(): PinoLogger {
  const { pino } = require("pino") as typeof import("pino");
  /** An error as text with its stack; zod's are said by the message already. */
  const seen = (cause: unknown) =>
    cause instanceof Error && cause.name !== "ZodError" ? pino.stdSerializers.err(cause) : cause;
  const terminal = (): DestinationStream => {
    const { default: pretty } = require("pino-pretty");
    return pretty({ destination: 2, sync: true, ignore: "pid,hostname" });
  };
  const target = process.stderr.isTTY ? terminal() : pino.destination({ dest: 2, sync: true });
  const serializers = { error: pino.stdSerializers.err, cause: seen };
  const mixin = () => ({ request_id: requestId() });
  return pino({ level, serializers, mixin }, target);
}
