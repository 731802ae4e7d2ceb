/** `hypersdk job ID` shows a job, or follows it to its end; `hypersdk job cancel ID`. */
import type { Command } from "commander";
import type { Call, Data, JobView } from "../../client/types.ts";
import { follow } from "../follow.ts";
import { print } from "../output.ts";
import { report, reportParts } from "../report.ts";
import { type Target, typedCaller, withServer } from "../target.ts";

interface Options extends Target {
  follow?: boolean;
  logs?: boolean;
  json?: boolean;
}

export function job(program: Command) {
  const command = program
    .command("job")
    .description("show a job, or follow it to its end and answer as its call would have")
    .argument("<job>", "its ID")
    .option("--follow", "until it ends; Ctrl-C cancels it. So at a terminal, unless it has ended")
    .option("--no-follow", "as it is now")
    .option("--logs", "what it has logged")
    .enablePositionalOptions();
  withServer(command, "of this machine's database").action(show);
  const stop = command
    .command("cancel")
    .description("stop jobs, and have removed what they have made")
    .argument("<jobs...>", "their IDs");
  withServer(stop, "of this machine's database").action(cancel);
}

async function show(id: string, options: Options) {
  const { json, logs } = options;
  try {
    const call = await typedCaller(options);
    const found = await call("GET /job", { id });
    const isOpen = found.ended_at === null;
    const following = options.follow ?? (process.stdout.isTTY && isOpen && !json);
    if (logs) return await showLogs(call, found, following, options);
    if (!following) return print(json || !process.stdout.isTTY ? found : known(found), { json });
    const { data, job } = await follow(call, found, { quiet: json ?? false });
    print(data, { json, message: (job.result as { message?: string } | null)?.message });
    reportParts(data);
  } catch (error) {
    process.exitCode = report(error as Error, json);
  }
}

/** What people want to see of a job: a field that says nothing is left out. */
function known(value: object): object {
  const said = Object.entries(value).filter(([, one]) => one !== null && `${one}` !== "");
  return Object.fromEntries(
    said.map(([name, one]) => [
      name,
      typeof one === "object" && !Array.isArray(one) ? known(one) : one,
    ]),
  );
}

async function showLogs(call: Call, job: JobView, following: boolean, { json }: Options) {
  const { id } = job;
  let after = "0";
  const onLook = async () => {
    for (let more = true; more; ) {
      const { lines, cursor } = (await call("GET /jobs/logs", { id, after })) as LogPage;
      for (const line of lines) console.log(lineOf(line, json));
      after = cursor;
      more = lines.length > 0;
    }
  };
  if (!following) return onLook();
  reportParts((await follow(call, job, { quiet: true, onLook })).data);
}

/** The answer where no stream is asked for. */
type LogPage = Extract<Data<"GET /jobs/logs">, { cursor: string }>;

function lineOf(line: LogPage["lines"][number], json = !process.stdout.isTTY): string {
  const { time, level, message, fields } = line;
  if (json) return JSON.stringify(line);
  const text = [time, level, message, fields && JSON.stringify(fields)].filter(Boolean).join("  ");
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "?");
}

async function cancel(job_ids: string[], { json = !process.stdout.isTTY, ...target }: Options) {
  try {
    const answer = await (await typedCaller(target))("POST /jobs/cancel", { job_ids });
    const { cancelled, cancelling, failed, errors } = answer;
    if (failed.length > 0) process.exitCode = 1;
    if (json) return print(answer, { json });
    for (const id of cancelled) console.log(`${id} is cancelled`);
    for (const id of cancelling) console.log(`${id} is cancelling: what it has made is removed`);
    for (const [id, { error, code }] of Object.entries(errors)) {
      process.stderr.write(`hypersdk: ${id}: ${error} (${code})\n`);
    }
  } catch (error) {
    process.exitCode = report(error as Error, json);
  }
}
