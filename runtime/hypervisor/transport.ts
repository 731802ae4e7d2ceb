/** What a hypervisor is reached through. Local and SSH are two implementations that functions cannot tell apart. */

// in the packed types too, so that who imports them needs nothing more
/// <reference types="node" preserve="true" />
import type { Readable, Writable } from "node:stream";
import type { Lane } from "./lanes.ts";

/** A long-lived `virsh` that reads commands on its standard input. */
export interface Channel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves, once all output has been read, to why it ended. Rejects when output may have been lost on the way. */
  readonly closed: Promise<string>;
  /** End it at once, with all it started. */
  kill(): void;
  /** Whether it keeps the program alive: only while a command is under way. */
  ref(on: boolean): void;
}

export interface ExecOptions {
  /** Milliseconds until the process is killed. */
  timeout: number;
  /** Written to standard input. */
  input?: string;
  signal?: AbortSignal;
}

export interface ExecResult {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/** Text that a command can read as a file for as long as it runs. */
export interface TextFile {
  path: string;
  remove(): void;
}

export interface Transport {
  /** What virsh connects to where it runs. */
  readonly uri: string;
  /** Warm sessions that each lane may have, where that is not for the configuration to say. */
  readonly lanes?: Record<Lane, number>;
  /** Whether there is a connection to it now; undefined for a transport that needs none. */
  readonly connected?: boolean;
  /** Set to what ends sessions that do nothing, for when they take the room that others need. */
  onFull?: () => void;
  /** Run one program to its end. Rejects when it cannot start, is cut off, or says too much; not for its exit code. */
  exec(argv: string[], options: ExecOptions): Promise<ExecResult>;
  openSession(): Promise<Channel>;
  putText(text: string): Promise<TextFile>;
  close(): Promise<void>;
}

/** One-shot output larger than this is not an answer but a runaway. */
export const MAX_OUTPUT = 64 * 1024 * 1024;

/** The environment of every virsh (virsh-facts, section 1). LANGUAGE is left out: it beats C.UTF-8. */
export function virshEnvironment(uri: string): Record<string, string> {
  return {
    LC_ALL: "C.UTF-8",
    TERM: "dumb",
    INPUTRC: "/dev/null",
    VIRSH_HISTSIZE: "0",
    VIRSH_DEFAULT_CONNECT_URI: uri,
  };
}

/** `-k`/`-K` notice a dead daemon within 15 s; the test driver has no connection to keep alive. */
export function virshOptions(uri: string): string[] {
  return uri.startsWith("test:") ? ["-q"] : ["-q", "-k", "5", "-K", "3"];
}
