/** `hypersdk list`: the functions, with what each does. */
import type { Command } from "commander";
import { methodText } from "../../core/method.ts";
import { print } from "../output.ts";

export function list(program: Command) {
  program
    .command("list")
    .description("list the functions, with what each does")
    .option("--json", "JSON, as when piped")
    .action(async ({ json }: { json?: boolean }) => {
      const { loadFunctions } = await import("../../function/load.ts");
      const functions = (await loadFunctions()).map(({ path, function: one, error }) => ({
        function: path.slice(1),
        method: one ? methodText(one.spec) : null,
        summary: one?.spec.summary ?? `does not load: ${error?.message}`,
      }));
      print(functions, { json });
    });
}
