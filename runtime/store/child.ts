/** A PostgreSQL that is this process's child: it ends with it, also when that is killed. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { log } from "../core/log.ts";
import type { Owner, Place } from "./place.ts";

/** What `flock` ends with where another process has the lock; PostgreSQL's own codes are 1 and 2. */
const LOCKED_CODE = 75;
/** Lines of its log that are kept for the reason why it has ended. */
const KEPT_LINES = 20;

export interface Child {
  process: ChildProcess;
  /** The end of its log. */
  lines: string[];
  /** Resolves when it has ended. */
  ended: Promise<void>;
  hasEnded(): boolean;
  /** Whether it did not begin, since another one, or what is left of a killed one, has the data. */
  wasLocked(): boolean;
}

/** The argv before a program's own: the signal that it gets when this process ends, and the user it runs as. */
export function privileges(owner: Owner | undefined, signal: string): string[] {
  const user = owner ? [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, "--clear-groups"] : [];
  return ["setpriv", ...user, "--pdeathsig", signal, "--"];
}

/**
 * The data folder is locked first, for as long as PostgreSQL and its children live: of two that begin at once after one
 * was killed, each may take the other's `postmaster.pid` for the dead one's and remove it (source: PostgreSQL,
 * CreateLockFile).
 */
export function startChild(postgres: string, { data, socket, owner }: Place): Child {
  // INT is its quick orderly end. It writes no statement to its log, since a statement has its caller's input.
  const options = ["listen_addresses=", "shared_buffers=16MB", "log_min_error_statement=panic"];
  const [program = "", ...args] = [
    ...privileges(owner, "INT"),
    ...["flock", "--nonblock", "--no-fork", `--conflict-exit-code=${LOCKED_CODE}`, data],
    ...[postgres, "-D", data, "-k", socket, "-p", "5432"],
    ...options.flatMap((option) => ["-c", option]),
  ];
  const env = { PATH: process.env.PATH, LC_ALL: "C" };
  // in a process group of its own: a terminal's ^C is for this process, which ends it
  const stdio = ["ignore", "ignore", "pipe"] as const;
  const child = spawn(program, args, { cwd: "/", env, detached: true, stdio: [...stdio] });
  const lines: string[] = [];
  let over = false;
  const ended = new Promise<void>((resolve) => {
    const end = (why: string) => {
      if (!over) log.info(`the private PostgreSQL has ended: ${why}`);
      over = true;
      resolve();
    };
    child.once("error", (error) => {
      lines.push(error.message);
      end(error.message);
    });
    child.once("close", (code, signal) => end(signal ?? `exit ${code}`));
  });
  const stderr = child.stderr as Socket | null;
  if (stderr) {
    createInterface({ input: stderr }).on("line", (line) => {
      log.debug({ postgres: line }, "the private PostgreSQL writes");
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
    });
    stderr.unref?.();
  }
  const hasEnded = () => over;
  const wasLocked = () => child.exitCode === LOCKED_CODE;
  child.unref(); // a script that has done its work ends
  return { process: child, lines, ended, hasEnded, wasLocked };
}
