/** Reading what virsh prints for people. */

/** The lines that say something. */
export function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
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
