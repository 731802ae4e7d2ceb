/** Patterns of names: `*` is any text, `?` any character, and everything else stands for itself. */

export function matches(patterns: string[], name: string): boolean {
  return patterns.some((pattern) => compile(pattern).test(name));
}

const compiled = new Map<string, RegExp>();

function compile(pattern: string): RegExp {
  const known = compiled.get(pattern);
  if (known) return known;
  const source = pattern
    .replace(/\*+/g, "*")
    .replace(/[\\^$.+()[\]{}|/]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  const made = new RegExp(`^${source}$`, "su");
  compiled.set(pattern, made); // patterns come from the tokens' file, not from requests
  return made;
}
