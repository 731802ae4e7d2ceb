/** What an answer tells of where the data of a migration flows. */
import * as z from "zod";

export const Flow = z.object({
  disks: z.string().nullable().describe("null where none is copied"),
  memory: z.string().nullable().describe("null for a domain that is off"),
  encrypted: z.boolean().describe("all of it, on every way between two machines"),
});
export type Flow = z.output<typeof Flow>;

const isRemote = (uri: string) => uri.includes("+ssh://");

/** From one hypervisor to the other through this server, by its own connections. */
export function throughServer(
  from: { host: string; uri: string },
  to: { host: string; uri: string },
) {
  const way = ({ host, uri }: { host: string; uri: string }) =>
    isRemote(uri) ? `${host} (SSH)` : `${host} (this machine)`;
  return `from ${way(from)} through this server to ${way(to)}`;
}
