/** `~/.ssh/config` as OpenSSH reads it, one host at a time. Source: ssh_config(5). */
import { existsSync, globSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { home } from "../../core/paths.ts";

/** Comes with the first host that needs it. */
const parse = (text: string) => {
  const { default: SSHConfig } = require("ssh-config") as typeof import("ssh-config");
  return SSHConfig.parse(text);
};

/** What the file says of a host under this keyword: all values, in order. */
export type Lookup = (keyword: string) => string[];

/** Throws when the file cannot be read as one. */
export function readUserConfig(host: string, user?: string): Lookup {
  const asked = { Host: host, ...(user && { User: user }) };
  const path = join(home(), ".ssh/config");
  try {
    const found = Object.entries(parse(textOf(path, asked)).compute(asked));
    return (keyword) =>
      found
        .filter(([key]) => key.toLowerCase() === keyword.toLowerCase())
        .flatMap(([, value]) => value);
  } catch (cause) {
    throw new Error(`~/.ssh/config cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** The library knows these in one spelling only. */
const SPELLING = new Map(
  ["Host", "Match", "HostName", "User", "IdentityFile"].map((word) => [word.toLowerCase(), word]),
);

interface Asked {
  Host: string;
  User?: string;
}

/** The library knows no Include. One that stands in a section counts when that does, and does not end it. */
function textOf(path: string, asked: Asked, depth = 0): string {
  if (depth > 16 || !existsSync(path)) return "";
  let section = "Host *";
  const lines = readFileSync(path, "utf8").split(/\r?\n/);
  return lines
    .map((line) =>
      line.replace(/^\s*(\w+)/, (word) => SPELLING.get(word.trim().toLowerCase()) ?? word),
    )
    .flatMap((line) => {
      if (/^(Host|Match)\b/.test(line)) section = line;
      const names = /^\s*Include[\s=]+(.+)$/i.exec(line)?.[1];
      if (!names) return [line];
      return applies(section, asked) ? [...included(names, asked, depth), "Host *"] : [];
    })
    .join("\n");
}

function applies(section: string, asked: Asked): boolean {
  return "Applies" in parse(`${section}\n  Applies yes\n`).compute(asked);
}

function included(names: string, asked: Asked, depth: number): string[] {
  return (names.match(/"[^"]*"|\S+/g) ?? [])
    .flatMap((name) => globSync(expand(name)).sort())
    .map((path) => textOf(path, asked, depth + 1));
}

/** `~`, `%d` and the tokens of ssh_config(5) in a path; a relative one is in `~/.ssh`. */
export function expand(path: string, tokens: Record<string, string> = {}): string {
  const text = path
    .replace(/^"(.*)"$/, "$1")
    .replace(/^(~|\$\{HOME\}|%d)(?=\/|$)/, home())
    .replace(/%([%hrpnu])/g, (whole, letter) => (letter === "%" ? "%" : (tokens[letter] ?? whole)));
  return isAbsolute(text) ? text : join(home(), ".ssh", text);
}
