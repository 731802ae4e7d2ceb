/** `hypersdk openapi`: the API's description. */
import type { Command } from "commander";
import { version } from "../../core/version.ts";

export function openapi(program: Command) {
  program
    .command("openapi")
    .description("print the API's description, OpenAPI 3.1")
    .action(async () => {
      const [{ describeApi }, { loadFunctions }] = await Promise.all([
        import("../../api/openapi.ts"),
        import("../../function/load.ts"),
      ]);
      console.log(JSON.stringify(describeApi(await loadFunctions(), version), null, 2));
    });
}
