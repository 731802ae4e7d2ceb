/** `hypersdk serve`: the function host. */
import type { Command } from "commander";

export function serve(program: Command) {
  program
    .command("serve")
    .description("serve the functions over HTTP, on the address of hypersdk.toml or HOST and PORT")
    .action(async () => {
      await import("../../serve.ts");
    });
}
