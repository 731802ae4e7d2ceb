/** The hypervisors, and whether they can be reached, as that changes. */
import { latest } from "../../core/latest.ts";
import { reportHost } from "../host-report.ts";
import { readingOf } from "./reading.ts";

const reportOf = (host: string) => readingOf("report", { host, kinds: [], read: reportHost });

/** Each hypervisor once it is known, in this order. */
export function watchReports(hosts: string[], signal: AbortSignal) {
  const reports = hosts.map(reportOf);
  const take = () => {
    const known = reports.flatMap(({ value }) => value ?? []);
    return known.length > 0 ? { hosts: known } : undefined;
  };
  return latest(reports, take, signal, "hosts");
}
