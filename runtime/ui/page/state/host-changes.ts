/** Hypervisors that are lost and found, as whoever watches their domains is told. */
import { useEffect } from "preact/hooks";
import { followFleet, hostErrors } from "./fleet.ts";

/** A text that changes with each of them. */
export function useHostChanges(): string {
  useEffect(followFleet, []);
  return JSON.stringify(hostErrors.value);
}
