/** `hypersdk serve`: the function host. */
import type { Command } from "commander";

export function serve(program: Command) {
  program
    .command("serve")
    .description("serve the functions over HTTP, on the address of hypersdk.toml or HOST and PORT")
    .option("--no-workers", "work on no jobs, as [jobs] workers = false: hypersdk worker does")
    .action(async ({ workers }: { workers: boolean }) => {
      if (!workers) {
        const { settings } = await import("../../core/settings.ts");
        settings().jobs.workers = false;
      }
      await import("../../serve.ts");
    });
}
