/** Cron expressions of five fields, and the times that they name. cron-parser is loaded with the first. */
import { HyperError } from "../core/errors.ts";

export interface Times {
  cron_expr: string;
  /** IANA. */
  timezone: string;
}

const FIELDS = ["minute", "hour", "day of the month", "month", "day of the week"];
const MACROS = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly"];
/** How the parser calls a day that no month has. */
const NO_SUCH_DAY = /day of month definition/;
/** Its clocks change by half an hour, over which the parser does not get (findings/cron-parser-half-hour.sh). */
const HALF_HOUR_ZONE = /^Australia\/(Lord_Howe|LHI)$/i;

/** Throws `invalid_input` that names the field and says what is wrong with it. */
export async function checkTimes({ cron_expr, timezone }: Times) {
  if (!isTimeZone(timezone)) {
    const text = `unknown time zone ${JSON.stringify(timezone)}; use an IANA name such as Europe/Berlin`;
    throw new HyperError("invalid_input", `timezone: ${text}`);
  }
  if (HALF_HOUR_ZONE.test(timezone)) {
    const text = `${timezone} is not supported, since its clocks change by half an hour; use another one`;
    throw new HyperError("invalid_input", `timezone: ${text}`);
  }
  const problem = await problemOf(cron_expr.trim());
  if (problem) throw new HyperError("invalid_input", `cron_expr: ${problem}`);
}

function isTimeZone(name: string) {
  if (!/^[A-Za-z]/.test(name)) return false; // an offset knows no summer time
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

async function problemOf(text: string): Promise<string | undefined> {
  if (text.startsWith("@")) {
    return MACROS.includes(text) ? undefined : `must be five fields or one of ${MACROS.join(", ")}`;
  }
  const fields = text.split(/\s+/).filter(Boolean);
  if (fields.length !== FIELDS.length) {
    return `must have five fields (${FIELDS.join(", ")}), not ${fields.length}`;
  }
  for (const [i, field] of fields.entries()) {
    // the parser's H is another time with each reading
    const alone = FIELDS.map((_, k) => (k === i ? field : "*")).join(" ");
    const problem = /(^|[,\s])H/.test(field) ? "H is not supported" : await failure(alone);
    if (problem) return `${FIELDS[i]} ${JSON.stringify(field)}: ${problem}`;
  }
  const problem = await failure(text);
  return problem && NO_SUCH_DAY.test(problem) ? "no such day in these months" : problem;
}

/** What the parser says against an expression. */
async function failure(text: string): Promise<string | undefined> {
  try {
    (await parse({ cron_expr: text, timezone: "UTC" }, new Date())).next();
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^(Constraint|Validation) error, /, "");
  }
}

async function parse({ cron_expr, timezone }: Times, currentDate: Date) {
  const { CronExpressionParser } = await import("cron-parser");
  return CronExpressionParser.parse(cron_expr, { tz: timezone, currentDate });
}

/** The first times after a moment. */
export async function timesAfter(times: Times, moment: Date, count: number): Promise<Date[]> {
  const walk = await parse(times, moment);
  return Array.from({ length: count }, () => walk.next().toDate());
}

/** The latest time from `due` on, which is one, up to a moment. Backwards the parser leaves times of a changed clock out. */
export async function latestTime(times: Times, due: Date, moment: Date): Promise<Date> {
  const walk = await parse(times, new Date(moment.getTime() + 1));
  const latest = walk.prev().toDate();
  return latest > due ? latest : due;
}
