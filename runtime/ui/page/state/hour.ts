/** The last hour of one domain: what the server has kept, and what has come since. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Data } from "../../../client/client.ts";
import { call } from "./client.ts";
import type { Domain } from "./fleet.ts";

type Kept = Data<"GET /libvirt/domains/history">;
type Metric = "cpu_percent" | "memory_percent" | "disk_read" | "disk_write" | "net_rx" | "net_tx";
type Point = Pick<Domain, Metric> & { at: number };

const HOUR_SECONDS = 3600;
const QUIET_MS = 5000;

export function useHour(domain: Domain) {
  const { host, name } = domain;
  const [kept, setKept] = useState<Kept>();
  const live = useRef<Point[]>([]);
  const [, draw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => draw((before) => before + 1), QUIET_MS); // also of what does not change
    return () => clearInterval(timer);
  }, []);
  const last = live.current.at(-1);
  const at = Date.now() / 1000;
  if (!last || at - last.at > 1) {
    live.current = [
      ...live.current.filter((point) => at - point.at < HOUR_SECONDS),
      { ...domain, at },
    ];
  }
  useEffect(() => {
    call("GET /libvirt/domains/history", { name: [name] }, { host }).then(setKept, () => {});
  }, [host, name]);
  const points = live.current;
  return useMemo(
    () => ({
      of: (...metrics: Metric[]) => series(kept, points, metrics),
      isEmpty: !kept?.domains[0] && points.every(({ cpu_percent }) => cpu_percent === null),
    }),
    [kept, points],
  );
}

function series(kept: Kept | undefined, live: Point[], metrics: Metric[]) {
  const domain = kept?.domains[0];
  const steps = domain?.cpu_percent?.length ?? 0;
  const end = kept ? Date.parse(kept.last) / 1000 : 0;
  const step = kept?.step_seconds ?? 0;
  const begins = live[0]?.at ?? 0;
  const before = Array.from({ length: steps }, (_, i) => end - (steps - 1 - i) * step);
  const count = before.filter((time) => time < begins).length;
  const times = [...before.slice(0, count), ...live.map(({ at }) => at)];
  const values = metrics.map((metric) => [
    ...(domain?.[metric]?.slice(0, count) ?? []),
    ...live.map((point) => point[metric]),
  ]);
  return [times, ...values];
}
