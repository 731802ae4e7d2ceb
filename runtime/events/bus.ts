/** Who is told what the host does: its metrics, where they are loaded. Without them a call costs nothing more. */
import type { Outcome } from "../hypervisor/hypervisor.ts";
import type { Lane } from "../hypervisor/lanes.ts";

export interface Observer {
  /** A request was answered. `path` is a function's, or undefined. */
  request(path: string | undefined, status: number, ms: number): void;
  /** So many commands were sent in one go, to a lane or a process of their own; none has an outcome if all failed. */
  virsh(
    host: string,
    lane: Lane | "process",
    commands: number,
    outcomes: Outcome[],
    ms: number,
  ): void;
  /** An SSH connection was made, or not. */
  connection(host: string, made: boolean): void;
}

export const observer: Partial<Observer> = {};
