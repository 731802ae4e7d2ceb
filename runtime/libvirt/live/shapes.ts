/** The shapes of domains as they change. An unknown value is null. */
import * as z from "zod";
import { ListedDomain } from "../domain/list.ts";

const Value = z.number().nullable();

export const Measured = z.object({
  vcpus: Value,
  cpu_percent: Value.describe("share of all vCPUs"),
  memory_kb: Value.describe("KiB that it has"),
  memory_percent: Value.describe("of what it has, where the guest tells"),
  disk_read: Value.describe("bytes a second, of all disks"),
  disk_write: Value,
  net_rx: Value.describe("bytes a second, of all interfaces that libvirt counts"),
  net_tx: Value,
});
export type Measured = z.output<typeof Measured>;

export const LiveDomain = ListedDomain.extend(Measured.shape);
export type LiveDomain = z.output<typeof LiveDomain>;

export const LiveEvent = z.object({
  host: z.string().describe("the hypervisor's alias"),
  whole: z.boolean().describe("the list is whole; else it has what has changed"),
  domains: z.array(LiveDomain),
  gone: z.array(z.string()).describe("names of domains that are not there any more"),
  error: z.string().nullable().describe("why the hypervisor cannot be read now"),
});
export type LiveEvent = z.output<typeof LiveEvent>;

/** What is kept for plots. */
export const METRICS = [
  "cpu_percent",
  "memory_percent",
  "disk_read",
  "disk_write",
  "net_rx",
  "net_tx",
] as const satisfies (keyof Measured)[];
export type Metric = (typeof METRICS)[number];
