/** Commands whose words may be texts, each of which is a file that the command reads. */
import type { TextFile, Transport } from "./transport.ts";

/** One word of a virsh command. `{ text }` and `{ bytes }` become a file, and its path the word. */
export type Arg = string | number | { text: string } | { bytes: Uint8Array };

/** Runs commands while the files of their texts are there. */
export async function withTexts<T>(
  transport: Pick<Transport, "putText">,
  commands: Arg[][],
  run: (argvs: string[][]) => Promise<T>,
): Promise<T> {
  const files: TextFile[] = [];
  const wordOf = async (arg: Arg) => {
    if (typeof arg !== "object") return `${arg}`;
    const file = await transport.putText("text" in arg ? arg.text : arg.bytes);
    files.push(file);
    return file.path;
  };
  try {
    return await run(
      await Promise.all(commands.map((command) => Promise.all(command.map(wordOf)))),
    );
  } finally {
    for (const file of files) file.remove();
  }
}
