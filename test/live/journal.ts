/**
 * A `virsh` that keeps a journal: put its folder first on a server's PATH, and all that goes into and out of
 * every session is on record. Read with the framing that runtime/session.ts describes.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One command as a session was given it. */
export interface Entry {
  command: string;
  /** virsh came to it, and had a connection to begin it with. */
  began: boolean;
}

export interface Journal {
  /** For the server's environment. */
  PATH: string;
  entries(): Entry[];
  remove(): void;
}

export function startJournal(): Journal {
  const folder = mkdtempSync(join(tmpdir(), "journal-"));
  const real = execFileSync("sh", ["-c", "command -v virsh"], { encoding: "utf8" }).trim();
  // bash becomes virsh, so that a signal to the session meets virsh itself
  const script = `#!/bin/bash
log=${folder}/$$
exec {input}<&0
exec ${real} "$@" < <(exec tee "$log.in" <&$input 2>/dev/null) \\
  > >(exec tee "$log.out") 2> >(exec tee "$log.err" >&2)
`;
  writeFileSync(join(folder, "virsh"), script);
  chmodSync(join(folder, "virsh"), 0o755);
  return {
    PATH: `${folder}:${process.env.PATH}`,
    entries: () =>
      readdirSync(folder)
        .filter((name) => name.endsWith(".in"))
        .flatMap((name) => read(join(folder, name.slice(0, -".in".length)))),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

function read(log: string): Entry[] {
  const [input, output, errors] = ["in", "out", "err"].map((stream) =>
    readFileSync(`${log}.${stream}`, "utf8"),
  ) as [string, string, string];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these stand around what is pasted
  const typed = input.replace(/\x1b\[20[01]~/g, "");
  const framed = typed.matchAll(/^echo '(\w{8})'(\d+)B;(.*);echo '\1'\2E;echo --err '\1'\2E$/gm);
  return [...framed].map(([, token = "", n, command = ""]) => {
    const [before = ""] = errors.split(`${token}${n}E`);
    const said = before.split(new RegExp(`${token}\\d+[EF]`)).at(-1) ?? "";
    const unreached = /^error: Failed to (re)?connect/im.test(said);
    return { command, began: output.includes(`${token}${n}B`) && !unreached };
  });
}
