/** Reading what virsh prints for people. */

/** The lines that say something. */
export function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** virsh's tables write bytes that cannot be printed, and the `\` of a `\x` in the text, as `\xNN`. */
export function unescapeTable(text: string): string {
  return text.replace(/(?:\\x[0-9a-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll("\\x", ""), "hex").toString(),
  );
}

/** `Name:   value` lines as an object; of a key that comes twice, the first. */
export function keyValues(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of lines(text)) {
    const at = line.indexOf(":");
    if (at > 0) found[line.slice(0, at).trim()] ??= line.slice(at + 1).trim();
  }
  return found;
}
