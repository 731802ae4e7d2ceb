/** Tells its listeners about requests, commands and connections. Metrics listen, once they are loaded. */

export interface Observer {
  /** A request was answered. `path` is the function's; undefined at a path without one. */
  request(path: string | undefined, status: number, ms: number): void;
  /** Commands were sent in one round trip to a lane's session, or to a process of its own (lane "process"). */
  virsh(trip: RoundTrip): void;
  /** An SSH connection was made, or an attempt failed. */
  connection(host: string, made: boolean): void;
  /** Jobs were submitted here. A process that works on jobs listens, and no other. */
  submitted(): void;
  /** A job ended. */
  job(ended: JobEnd): void;
}

export interface JobEnd {
  path: string;
  state: string;
  /** From its submission to its begin, and from there to its end. */
  waited_ms: number;
  worked_ms: number;
}

export interface RoundTrip {
  host: string;
  lane: string;
  commands: number;
  /** The number of commands without an error. */
  succeeded: number;
  ms: number;
}

export const observer: Partial<Observer> = {};
