/** `hypersdk openapi`: the API's description. */
import type { Command } from "commander";

export function openapi(program: Command) {
  program
    .command("openapi")
    .description("print the API's description, OpenAPI 3.1")
    .action(async () => {
      const { default: describe } = await import("../../../functions/openapi.json.ts");
      console.log(JSON.stringify(await describe({}), null, 2));
    });
}
