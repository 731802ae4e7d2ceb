/** Where this server's own metrics stand. */
import { Registry } from "prom-client";

export const registry = new Registry();
export const registers = [registry];

/** From a command on a warm session to a long copy. */
export const SECONDS_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600,
];
