/** GET /events: what happens in the fleet, as it happens. */
import * as z from "zod";
import { FleetEvent, KINDS, USUAL_KINDS } from "#runtime/events/fleet-event.ts";
import type { Listener } from "#runtime/events/listener.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { viewFor } from "#runtime/function/event-access.ts";
import { follow } from "#runtime/hypervisor/events/follow.ts";
import { Name } from "#runtime/libvirt/names.ts";

const isUuid = (name: string) => z.guid().safeParse(name).success;

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Follow what happens",
  scope: "fleet",
  stream: "sse",
  input: z
    .strictObject({
      kind: z
        .array(z.enum(KINDS))
        .optional()
        .describe("unless given: all but `secret` and `device`, which cost further processes"),
      name: z.array(Name).optional().meta({
        "x-libvirt": "domain",
        description:
          "names of domains, networks, pools … (of secrets alone the UUIDs); of jobs and calls, the domains that they name",
      }),
      event: z
        .array(z.string().max(100))
        .optional()
        .describe(
          "names of events or their actions, such as `lifecycle`, `started`, `device-added`",
        ),
      last_event_id: z
        .string()
        .max(100)
        .optional()
        .describe("goes on after that event; browsers send it as `Last-Event-ID`"),
    })
    .refine(({ kind, name }) => kind?.includes("secret") || !name?.some(isUuid), {
      path: ["name"],
      error: "must be names: only events of secrets have UUIDs",
    }),
  output: FleetEvent,
  message: null,
  examples: [{ kind: ["domain"], event: ["started", "stopped"] }],

  async run(
    { kind = USUAL_KINDS, name, event, last_event_id },
    { caller, rights, signal, ...ctx },
  ) {
    const { requestedHosts = ctx.hosts } = ctx;
    const hosts = [requestedHosts].flat();
    const whole = ctx.hosts.every((host) => hosts.includes(host)); // also for `*`
    const filter = { kinds: kind, hosts, names: name, events: event };
    await Promise.allSettled(hosts.map((host) => rights.lookUp(host))); // of one that is lost none is seen
    const view = viewFor(caller, rights);
    return events(follow({ ...filter, whole, view, after: last_event_id }, signal));
  },
});

/** As server-sent events. Those that are ready go together. */
function events(listener: Listener) {
  const source = {
    async next() {
      const { done, value } = await listener.next();
      return done ? { done, value } : { done: false as const, value: sent(value) };
    },
    ready: () => listener.take().map(sent),
    async return() {
      await listener.return();
      return { done: true as const, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => source };
}

const sent = (data: FleetEvent) => {
  const event = data.kind === "stream" ? data.event : data.kind;
  return { event, id: data.id, data };
};
