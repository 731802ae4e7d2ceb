/** The log goes to standard error, so that a script's own output stays clean; `LOG_LEVEL` sets how much. */
import { type DestinationStream, type Logger, pino } from "pino";
import pretty from "pino-pretty";

/** An error as text with its stack; zod's are said by the message already. */
function seen(cause: unknown) {
  return cause instanceof Error && cause.name !== "ZodError"
    ? pino.stdSerializers.err(cause)
    : cause;
}

const target: DestinationStream = process.stderr.isTTY
  ? pretty({ destination: 2, sync: true, ignore: "pid,hostname" })
  : pino.destination({ dest: 2, sync: true });

export type { Logger };

export const log: Logger = pino(
  {
    level: process.env.LOG_LEVEL ?? "warn",
    serializers: { error: pino.stdSerializers.err, cause: seen },
  },
  target,
);
