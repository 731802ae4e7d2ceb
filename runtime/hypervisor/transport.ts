/** The way to one hypervisor. Local and SSH are two implementations that functions cannot tell apart. */

// kept in the packed types, so that their importer needs no further package
/// <reference types="node" preserve="true" />
import type { Duplex, Readable, Writable } from "node:stream";
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
  /** Of its environment, beside what every program has. */
  variables?: Record<string, string>;
  /** Called with each piece of what it writes, as it comes; must not throw. */
  onOutput?: (text: string, stream: "stdout" | "stderr") => void;
}

export type SpawnOptions = Pick<ExecOptions, "timeout" | "signal" | "variables"> & {
  /** The program's own, removed with it where a lost connection has left both. */
  folder?: string | undefined;
  /** It runs for as long as somebody listens, and takes no place of the streams that are soon over. */
  lasting?: boolean | undefined;
};

/** A running program whose input and output are streams. Its input's end is told it, or is a connection that was lost. */
export interface Spawned {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves to how it has ended, once its output was read. Rejects when it was cut off, or that cannot be known. */
  readonly ended: Promise<Omit<ExecResult, "stdout">>;
  /** Ends it at once, and everything it started; `why` becomes the rejection. */
  kill(why: Error): void;
}

/** A listener on the hypervisor. */
export type StreamTarget = { host: string; port: number } | { path: string };

export interface StreamOptions {
  /** Milliseconds until it must be connected. */
  timeout: number;
  /** Ends the attempt, not the connection. */
  signal?: AbortSignal;
}

export interface TerminalOptions {
  columns: number;
  rows: number;
  /** Called with what the program writes, as it comes. */
  onData(bytes: Uint8Array): void;
}

/** A program that runs on a terminal, such as `virsh console`, until it ends or is killed. */
export interface Terminal {
  write(bytes: Uint8Array): void;
  /** How many bytes the program has not taken yet. */
  readonly unwritten: number;
  resize(columns: number, rows: number): void;
  /** Stops its output; what is on its way still comes. */
  pause(): void;
  resume(): void;
  kill(): void;
  /** Resolves to its exit code. Rejects when it cannot be known. */
  readonly ended: Promise<number>;
}

/** Of a virsh in a process of its own, which reads no input. */
export type OneShotOptions = Omit<ExecOptions, "input">;

export interface ExecResult {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/** A text, or bytes, that a command can read as a file until it is removed. */
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
  /** Starts a program. Rejects when it cannot start. */
  spawn(argv: string[], options: SpawnOptions): Promise<Spawned>;
  openSession(): Promise<Channel>;
  /** Connects to a TCP port or a Unix socket there. Whoever asked for the stream destroys it; the transport's end does, too. */
  openStream(target: StreamTarget, options: StreamOptions): Promise<Duplex>;
  /** Starts a program there on a terminal. Whoever asked for it kills it. */
  openTerminal(argv: string[], options: TerminalOptions): Promise<Terminal>;
  putText(content: string | Uint8Array): Promise<TextFile>;
  /**
   * Writes over a file of exactly this length, such as a volume that libvirtd has just made, without a process there.
   * False where the login itself may not, or sees no such file; then nothing was written.
   */
  overwrite?(path: string, content: Uint8Array): Promise<boolean>;
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
