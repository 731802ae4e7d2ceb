/** The state of a domain, job or network, in a colour and in words. */
const KINDS: Record<string, string> = {
  running: "good",
  active: "good",
  up: "good",
  completed: "good",
  enabled: "good",
  paused: "warn",
  pmsuspended: "warn",
  "in shutdown": "warn",
  blocked: "warn",
  queued: "warn",
  cancelling: "warn",
  crashed: "bad",
  failed: "bad",
  down: "bad",
  refused: "bad",
};

export function StateBadge({ state }: { state: string }) {
  return <span class={`badge ${KINDS[state] ?? "idle"}`}>{state}</span>;
}
