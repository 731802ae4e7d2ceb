/** `hypersdk completion bash`, zsh or fish: the script for that shell. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Argument, type Command } from "commander";

export function completion(program: Command) {
  program
    .command("completion")
    .description(
      "print the script that makes a shell complete commands, functions, fields and names",
    )
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      `
bash: eval "$(hypersdk completion bash)" in ~/.bashrc
zsh:  eval "$(hypersdk completion zsh)" in ~/.zshrc, after compinit
fish: hypersdk completion fish > ~/.config/fish/completions/hypersdk.fish`,
    )
    .action((shell: string) => {
      process.stdout.write(
        readFileSync(join(import.meta.dirname, `../completion/completion.${shell}`), "utf8"),
      );
    });
}
