/** `hypersdk worker`: works on jobs, beside a server or on a machine of its own. */
import { type Command, InvalidArgumentError } from "commander";

export function worker(program: Command) {
  program
    .command("worker")
    .description("work on the jobs of [database], of the hypervisors that can be reached from here")
    .option("--concurrency <n>", "jobs at once; [jobs] concurrency unless given", concurrency)
    .action(async (options: { concurrency?: number }) => {
      const [{ log }, { settings }, { work }, { cannotStart }] = await Promise.all([
        import("../../core/log.ts"),
        import("../../core/settings.ts"),
        import("../../server/work.ts"),
        import("../../server/start.ts"),
      ]);
      if (!process.env.LOG_LEVEL) log.level = "info";
      if (options.concurrency) settings().jobs.concurrency = options.concurrency;
      await work().catch(cannotStart);
    });
}

function concurrency(text: string): number {
  if (/^[1-9]\d{0,2}$|^1000$/.test(text)) return Number(text);
  throw new InvalidArgumentError("it must be 1 to 1000.");
}
