/** The way to one hypervisor. Local and SSH are two implementations that functions cannot tell apart. */

// kept in the packed types, so that their importer needs no further package
/// <reference types="node" preserve="true" />
import type { Readable, Writable } from "node:stream";
import type { Lane } from "./lanes.ts";

/** A long-lived `virsh` that reads commands on its standard input. */
export interface Channel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves to why it ended, once all output has been read. Rejects when output may have been lost. */
  readonly closed: Promise<string>;
  /** Ends it at once, and everything it started. */
  kill(): void;
  /** Whether it keeps our process alive, which it does only while a command runs. */
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

/** A text that a command can read as a file until it is removed. */
export interface TextFile {
  path: string;
  remove(): void;
}

export interface Transport {
  /** The URI that virsh connects to on the machine where it runs. */
  readonly uri: string;
  /** Warm sessions that each lane may have. @default as configured */
  readonly lanes?: Record<Lane, number>;
  /** Whether it is connected now; undefined for a transport that needs no connection. */
  readonly connected?: boolean;
  /** Called when all channels are taken: close idle sessions. */
  onFull?: () => void;
  /** Runs one program to its end. Rejects when it cannot start, is cut off, or prints too much, but not for its exit code. */
  exec(argv: string[], options: ExecOptions): Promise<ExecResult>;
  openSession(): Promise<Channel>;
  putText(text: string): Promise<TextFile>;
  close(): Promise<void>;
}

/** Characters; a program that prints more is ended as a runaway. */
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
