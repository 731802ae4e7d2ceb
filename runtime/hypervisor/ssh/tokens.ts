/** The tokens and variables in paths of ssh_config. Source: ssh_config(5), TOKENS and ENVIRONMENT VARIABLES. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { isAbsolute, join } from "node:path";
import { home } from "../../core/paths.ts";

export type Tokens = Record<string, string>;

interface Facts {
  host: string;
  user: string;
  port: number;
  /** The host as the URI names it. */
  asked: string;
  hostKeyAlias: string | undefined;
  proxyJump: string | undefined;
}

export function tokensOf({ host, user, port, asked, hostKeyAlias, proxyJump }: Facts): Tokens {
  const l = hostname();
  const j = proxyJump && proxyJump !== "none" ? proxyJump : "";
  const C = createHash("sha1").update(`${l}${host}${port}${user}${j}`).digest("hex");
  const names = { h: host, n: asked, k: hostKeyAlias ?? asked, p: `${port}`, r: user, j, C };
  const local = { l, L: l.split(".")[0] ?? l, i: `${process.getuid?.()}`, d: home() };
  return {
    ...names,
    ...local,
    get u() {
      return localUser(); // only where it is asked for, because it may take a process
    },
  };
}

/** Bun's `userInfo()` knows only the environment, which a service may not have. */
export const localUser = () =>
  process.env.USER || execFileSync("id", ["-un"], { encoding: "utf8" }).trim();

/** The absolute path that `~`, tokens and variables make of a path; a relative one is in `~/.ssh`. */
export function expand(path: string, tokens: Tokens = { d: home() }): string {
  const text = substitute(path.replace(/^~(?=\/|$)/, home()), tokens);
  return isAbsolute(text) ? text : join(home(), ".ssh", text);
}

export function substitute(text: string, tokens: Tokens): string {
  return text.replace(/%(.)|\$\{(\w+)\}/g, (whole, letter, variable) => {
    if (variable) return variableOf(variable, text);
    return letter === "%" ? "%" : (tokens[letter] ?? whole);
  });
}

function variableOf(name: string, path: string): string {
  const value = name === "HOME" ? home() : process.env[name];
  if (value) return value;
  throw new Error(`${path}: the environment has no variable ${name}`);
}
