/** `hypersdk jobs --state running`: jobs, the newest first. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { JobState, JobView } from "../../client/types.ts";
import { plural } from "../../core/plural.ts";
import { STATES } from "../../jobs/job.ts";
import { duration } from "../bar.ts";
import { print, renderTable } from "../output.ts";
import { report } from "../report.ts";
import { type Target, typedCaller, withServer } from "../target.ts";

interface Options extends Pick<Target, "server" | "token"> {
  state?: JobState[];
  host?: string[];
  function?: string[];
  domain?: string;
  limit: number;
  json?: boolean;
}

const collect = (value: string, before: string[] = []) => [...before, value];

export function jobs(program: Command) {
  const command = program
    .command("jobs")
    .description("list jobs, the newest first")
    .addOption(
      new Option("--state <state>", "only these; may be given again")
        .choices(STATES)
        .argParser(state),
    )
    .option("--host <alias>", "of this hypervisor; may be given again", collect)
    .option("--function <path>", "of this function; may be given again", collect)
    .option("--domain <name>", "that are about this domain")
    .option("--limit <n>", "at most so many", limit, 50);
  withServer(command, "of this machine's database").action(list);
}

function state(text: string, before: JobState[] = []): JobState[] {
  const known = STATES.find((one) => one === text);
  if (!known) throw new InvalidArgumentError(`Allowed choices are ${STATES.join(", ")}.`);
  return [...before, known];
}

function limit(text: string): number {
  if (/^[1-9]\d{0,2}$|^1000$/.test(text)) return Number(text);
  throw new InvalidArgumentError("it must be 1 to 1000.");
}

async function list({ server, token, json = !process.stdout.isTTY, ...filter }: Options) {
  try {
    const call = await typedCaller({ server, token });
    const { state: status, host, domain, limit } = filter;
    const functions = filter.function?.map((path) => path.replace(/^\/*/, "/"));
    const page = await call("GET /jobs/query", {
      status,
      hosts: host,
      function: functions,
      domain,
      limit,
    });
    if (json) return print(page, { json });
    const rows = narrowed(page.jobs.map(rowOf), process.stdout.columns || 80);
    const more = page.total > rows.length;
    const message = more ? `${rows.length} of ${page.total} jobs` : plural(rows.length, "job");
    print(rows, { json, message: rows.length > 0 ? message : undefined });
  } catch (error) {
    process.exitCode = report(error as Error, json);
  }
}

function rowOf({ id, state, progress, host, domains, created_at, submitter, ...job }: JobView) {
  const { percent } = progress;
  return {
    id,
    state,
    done: percent === null ? null : `${Math.floor(percent)} %`,
    function: job.function.slice(1),
    host,
    age: duration((Date.now() - Date.parse(created_at)) / 1000),
    domains,
    who: submitter.name,
  };
}

/** As many columns, the first ones first, as the width has room for. */
function narrowed(rows: object[], width: number): object[] {
  for (let count = Object.keys(rows[0] ?? {}).length; count > 1; count--) {
    const some = rows.map((row) => Object.fromEntries(Object.entries(row).slice(0, count)));
    if (renderTable(some, width) !== undefined) return some;
  }
  return rows;
}
