/** Changes of networks and pools, which the server tells, so that a view reads its list again. */
import { useEffect, useState } from "preact/hooks";
import { call } from "./client.ts";
import { whileVisible } from "./while-visible.ts";

const TOGETHER_MS = 150;

/** A number that changes with each change on the hypervisor. */
export function useChanges(kind: "network" | "pool", host: string): number {
  const [count, setCount] = useState(0);
  useEffect(() => {
    let timer = 0;
    const end = whileVisible(async (signal, works) => {
      const events = await call("GET /events", { kind: [kind] }, { host, signal });
      works();
      for await (const _ of events) {
        clearTimeout(timer);
        timer = window.setTimeout(() => setCount((before) => before + 1), TOGETHER_MS);
      }
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [kind, host]);
  return count;
}
