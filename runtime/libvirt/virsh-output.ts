/** Parsing virsh's output, which is made for people. */

/** The lines that are not empty. */
export function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** In its tables virsh writes bytes that are not printable, and the `\` of a `\x` in the text, as `\xNN`. */
export function unescapeTable(text: string): string {
  return text.replace(/(?:\\x[0-9a-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll("\\x", ""), "hex").toString(),
  );
}

/** `Name:   value` lines as an object. The first line of a key counts. */
export function keyValues(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const line of lines(text)) {
    const at = line.indexOf(":");
    if (at > 0) values[line.slice(0, at).trim()] ??= line.slice(at + 1).trim();
  }
  return values;
}
