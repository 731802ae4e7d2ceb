/** GET /status: this server, and whether each of its hypervisors can be reached. */
import * as z from "zod";
import { version } from "#runtime/core/version.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { countJobs } from "#runtime/jobs/counts.ts";
import { Reached, reach } from "#runtime/libvirt/host.ts";
import { leftovers } from "#runtime/libvirt/journal.ts";
import { databaseState } from "#runtime/store/state.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show this server's version and whether each hypervisor can be reached",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({
    version: z.string(),
    uptime_seconds: z.number(),
    database: z
      .object({
        kind: z.enum(["server", "private"]).describe("one that [database] url names, or its own"),
        state: z.enum(["unused", "available", "unavailable"]).describe("as its last use found it"),
        reason: z.string().optional().describe("why it was not available"),
      })
      .describe("what this server keeps its own records in; to ask does not start it"),
    jobs: z
      .object({ queued: z.number(), running: z.number(), failed_24h: z.number() })
      .nullable()
      .describe("of all servers on the database; null while it is not in use or does not answer"),
    hosts: z.array(
      Reached.extend({
        leftovers: z
          .array(
            z.object({
              host: z.string(),
              operation: z.string(),
              started: z.string(),
              left: z.array(z.string()),
            }),
          )
          .describe("resources left by a server that was killed in the middle of an operation"),
      }),
    ),
  }),
  message: ({ hosts }) => {
    const reached = hosts.filter(({ reachable }) => reachable).length;
    return `${reached} of ${hosts.length} hypervisors reachable`;
  },

  async run(_input, ctx) {
    const hosts = await Promise.all(
      ctx.hosts.map(async (host) => {
        const there = ctx.forHost(host);
        const reached = await reach(there);
        // a leftover has the name of a domain, which may be another's
        const shown = reached.reachable && !ctx.caller.domains;
        return { ...reached, leftovers: shown ? await leftovers(there) : [] };
      }),
    );
    const uptime_seconds = Math.round(process.uptime());
    const jobs = await countJobs().catch((error) => {
      ctx.log.warn({ error }, "the jobs could not be counted");
    });
    return { version, uptime_seconds, database: databaseState(), jobs: jobs ?? null, hosts };
  },
});
