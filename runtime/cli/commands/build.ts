/** `hypersdk build libvirt/networks`: one file that holds all that a function needs. */
import type { Command } from "commander";
import { print } from "../output.ts";

export function build(program: Command) {
  program
    .command("build")
    .description("bundle a function, or a folder of them, for a deployment of its own")
    .argument(
      "<function>",
      "libvirt/stats is that function and those below it, libvirt/stats.ts that one alone",
    )
    .option("--out <folder>", "where the files go", "build")
    .option("--compile", "an executable too, which needs no Bun")
    .option("--json", "JSON, as when piped")
    .action(async (name: string, { out, compile, json }) => {
      const [{ bundle }, { select }] = await Promise.all([
        import("../../build/bundle.ts"),
        import("../../build/select.ts"),
      ]);
      print(await bundle(await select(name), out, { compile }), { json });
    });
}
