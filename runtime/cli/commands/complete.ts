/** The hidden command that the completion scripts call. It prints nothing when it fails. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";

/** `complete bash LINE LAST` prints replacements of LAST; `complete zsh|fish WORDS… CURRENT` prints "value<tab>note". */
export function complete(program: Command) {
  program
    .command("complete", { hidden: true })
    .argument("<shell>")
    .argument("[words...]")
    .action(async (shell: string, words: string[]) => {
      const lines = await answer(program, shell, words).catch(() => []);
      if (lines.length > 0) console.log(lines.join("\n"));
      const { closeHypervisors } = await import("../../hypervisor/registry.ts");
      await Promise.race([closeHypervisors(), sleep(500)]);
      process.exit(0);
    });
}

async function answer(program: Command, shell: string, words: string[]): Promise<string[]> {
  const { log } = await import("../../core/log.ts");
  log.level = "silent";
  const { candidates } = await import("../completion/candidates.ts");
  if (shell !== "bash") {
    const found = await candidates(program, words.slice(0, -1), words.at(-1) ?? "");
    return found.map(({ value, note = "" }) => `${value}\t${note.split("\n")[0]}`);
  }
  const { reply, splitLine } = await import("../completion/bash-words.ts");
  const [text = "", last = ""] = words;
  const line = splitLine(text);
  const found = await candidates(program, line.words.slice(1), line.current);
  return found.flatMap(({ value, open }) => reply(line, last, value, open) ?? []);
}
