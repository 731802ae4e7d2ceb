/** ssh_config, read by OpenSSH itself: `ssh -G` prints what its files say of one host. Source: ssh(1), ssh_config(5). */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import pLimit from "p-limit";
import type { HyperError } from "../../core/errors.ts";
import { home } from "../../core/paths.ts";
import { runLocally } from "../local.ts";
import { putText } from "../local-files.ts";

/** `Match exec` may run a command that takes its time. */
const READ_TIMEOUT_MS = 10_000;
/** With hundreds of hosts, so many logins may begin at once. */
const concurrentReads = pLimit(4);

/** Characters that OpenSSH refuses in the names of hosts and users, because `Match exec` hands them to a shell. */
const UNSAFE = /^-|[\s'"`$\\;&<>|(){}]|\p{Cc}/u;

export interface Destination {
  host: string;
  port?: number;
  user?: string;
}

/** The values of a keyword, in order; undefined when no file says anything and OpenSSH has no default. */
export type UserConfig = (keyword: string) => string[] | undefined;

/** Thrown when OpenSSH cannot be asked, and its files are not read. */
export class NotRead extends Error {}

export function readUserConfig(
  { host, port, user }: Destination,
  signal?: AbortSignal,
): Promise<UserConfig> {
  for (const [what, name = "x"] of [["host", host] as const, ["user", user] as const]) {
    const unsafe = name === "" || UNSAFE.test(name) || (what === "host" && /[@/]/.test(name));
    if (unsafe) throw new Error(`the ${what} name ${JSON.stringify(name)} is not valid`);
  }
  return concurrentReads(async () => {
    const file = configOfOtherHome();
    try {
      const options = [
        ...(file ? ["-F", file.path] : []),
        ...(port ? ["-p", `${port}`] : []),
        ...(user ? ["-l", user] : []),
      ];
      return parse(await ask(["ssh", "-T", "-G", ...options, "--", host], signal, file?.path));
    } finally {
      file?.remove();
    }
  });
}

/** `file`: the name under which ssh knows the user's configuration, for its messages. */
async function ask(argv: string[], signal?: AbortSignal, file?: string): Promise<string> {
  const options = { timeout: READ_TIMEOUT_MS, ...(signal && { signal }) };
  const result = await runLocally(argv, options).catch((error: HyperError) => {
    const missing = error.code === "unsupported";
    throw missing ? new NotRead("ssh is not installed on this machine", { cause: error }) : error;
  });
  if (result.exitCode === 0) return result.stdout;
  // a container may run as a user of which its password database knows nothing
  if (/^No user exists for uid/m.test(result.stderr)) throw new NotRead(result.stderr.trim());
  const messages = result.stderr.trim().split("\n");
  const lines = messages.filter((line) => !/: terminating, \d+ bad config/.test(line));
  const text = lines.map((line) => (file ? line.replace(file, "").trim() : line)).join("; ");
  throw new Error(`~/.ssh/config cannot be read: ${text || `ssh ended with ${result.exitCode}`}`);
}

function parse(output: string): UserConfig {
  const values = new Map<string, string[]>();
  for (const line of output.split("\n")) {
    const [, keyword = "", value = ""] = /^(\S+) (.*)$/.exec(line) ?? [];
    values.set(keyword, [...(values.get(keyword) ?? []), value]);
  }
  return (keyword) => values.get(keyword.toLowerCase());
}

/**
 * OpenSSH takes the home folder from the password database, and not from HOME. Where HOME is another one, the
 * configuration there is handed over with its paths written out, followed by what OpenSSH reads after it.
 * In files that it includes, `~` stays the home folder of the password database.
 */
function configOfOtherHome() {
  const registered = registeredHome();
  if (registered === undefined || resolve(registered) === resolve(home())) return undefined;
  const path = join(home(), ".ssh/config");
  const known = ["known_hosts", "known_hosts2"].map((name) => `"${join(home(), ".ssh", name)}"`);
  const defaults = [
    "Match all",
    "Include /etc/ssh/ssh_config /usr/etc/ssh/ssh_config",
    "Match all",
    `UserKnownHostsFile ${known.join(" ")}`,
    ...(process.env.USER ? [`User ${process.env.USER}`] : []),
  ];
  const text = existsSync(path) ? withPaths(readFileSync(path, "utf8")) : "";
  return putText(`${text}\n${defaults.join("\n")}\n`);
}

/** The home folder in /etc/passwd; undefined for a user of another database. */
function registeredHome(): string | undefined {
  const users = readFileSync("/etc/passwd", "utf8").split("\n");
  return users
    .map((line) => line.split(":"))
    .find(([, , uid]) => uid === `${process.getuid?.()}`)?.[5];
}

/** Writes out `~`, `%d` and relative names where `ssh -G` would put the registered home folder. */
function withPaths(config: string): string {
  return config.replace(
    /^\s*(Include|IdentityAgent|UserKnownHostsFile)\b[\s=]*(.*)$/gim,
    (_line, keyword, rest) => {
      const values: string[] = rest.replace(/\s#.*/, "").match(/"[^"]*"|[^\s"]+/g) ?? [];
      const paths = values.map((value) => {
        const name = value.replace(/^"(.*)"$/, "$1").replace(/^(~|%d)(?=\/|$)/, home());
        const relative = /^include$/i.test(keyword) && !name.startsWith("/");
        return `"${relative ? join(home(), ".ssh", name) : name}"`;
      });
      return `${keyword} ${paths.join(" ")}`;
    },
  );
}
