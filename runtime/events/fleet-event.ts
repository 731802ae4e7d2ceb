/** What happens in the fleet, as listeners hear it: one shape for each kind of event. */
import * as z from "zod";

const text = z.string().optional();
const number = z.number().optional();
const address = z
  .object({ family: z.string(), node: z.string(), service: z.string() })
  .optional()
  .describe("of graphics");

const base = {
  id: z.string().describe("by which a listener goes on after it (`Last-Event-ID`)"),
  time: z.iso.datetime().describe("libvirt's events: when virsh heard of it"),
  detail: z.string().nullable().describe("for people; libvirt's events: as virsh words it"),
};
const ofHost = { ...base, host: z.string().describe("the hypervisor's alias") };
const action = text.describe("what has happened, such as `started` of a lifecycle");
const reason = text.describe("why, as virsh words it, such as `booted`, `crashed` or `i/o error`");

export const DomainEvent = z.object({
  ...ofHost,
  kind: z.literal("domain"),
  object: z.string().describe("the domain's name"),
  event: z
    .string()
    .describe("virsh's name: `lifecycle`, `reboot`, `block-job` … (`virsh event --list`)"),
  action,
  reason,
  device: text.describe("its alias or target"),
  path: text,
  old_path: text,
  new_path: text,
  job: text.describe("of block-job: `Block Commit` and the like"),
  memory_kib: number,
  offset_seconds: number,
  iteration: number,
  field: text.describe("of metadata-change: description, title or element"),
  uri: text,
  threshold_bytes: number,
  excess_bytes: number,
  recipient: text,
  size_kib: number,
  old_mac: text,
  new_mac: text,
  vcpu: number,
  channel: text.describe("its name, such as org.qemu.guest_agent.0"),
  local: address,
  remote: address,
  auth: text,
  parameters: z
    .record(z.string(), z.string())
    .optional()
    .describe("of tunable, job-completed, memory-failure; of graphics: the client's identities"),
});

const lifecycle = { ...ofHost, event: z.string(), action };

export const NetworkEvent = z.object({
  ...lifecycle,
  kind: z.literal("network"),
  object: z.string().describe("the network's name"),
  field: text,
  uri: text,
});
export const PoolEvent = z.object({
  ...lifecycle,
  kind: z.literal("pool"),
  object: z.string().describe("the pool's name"),
  event: z
    .string()
    .describe("lifecycle, or refresh: libvirt has read the list of its volumes again"),
});
export const SecretEvent = z.object({
  ...lifecycle,
  kind: z.literal("secret"),
  object: z.string().describe("the secret's UUID"),
});
export const DeviceEvent = z.object({
  ...lifecycle,
  kind: z.literal("device"),
  object: z.string().describe("the name of the hypervisor's own device"),
});
export const HypervisorEvent = z.object({
  ...ofHost,
  kind: z.literal("hypervisor"),
  object: z.string().describe("the hypervisor's alias"),
  event: z.enum(["lost", "found"]),
});

const who = z
  .object({
    kind: z.string(),
    name: z.string(),
    fingerprint: z.string().optional().describe("tells tokens of one name apart"),
  })
  .optional()
  .describe("shown to those who may know: to themselves, and to administrators without limits");
const domains = z.array(z.string()).describe("the domains that the call names");

export const JobEvent = z.object({
  ...ofHost,
  kind: z.literal("job"),
  object: z.string().describe("the job's ID"),
  event: z.string().describe("its state, or `taken over`"),
  function: z.string(),
  domains,
  code: text,
  who,
});
export const CallEvent = z.object({
  ...ofHost,
  kind: z.literal("call"),
  object: z.string().describe("the function's path"),
  event: z.string().describe("done, failed, refused or unknown"),
  domains,
  request_id: z.string(),
  code: text,
  who,
});
export const StreamNotice = z.object({
  ...base,
  host: z.string().nullable(),
  kind: z.literal("stream"),
  object: z.literal(""),
  event: z
    .enum(["resync", "cut-off"])
    .describe(
      "resync: something may have been missed before it and nothing is after it, so read again what `read` names; cut-off: the last event",
    ),
  kinds: z.array(z.string()).describe("the kinds of events that it is about"),
  read: z.array(z.string()).describe("what tells the present state, such as /libvirt/domains"),
});

export const FleetEvent = z.discriminatedUnion("kind", [
  DomainEvent,
  NetworkEvent,
  PoolEvent,
  SecretEvent,
  DeviceEvent,
  HypervisorEvent,
  JobEvent,
  CallEvent,
  StreamNotice,
]);
export type FleetEvent = z.output<typeof FleetEvent>;
export type Kind = FleetEvent["kind"];

/** What a listener may ask for; it gets the stream's own notices in any case. */
export const KINDS = [
  "domain",
  "network",
  "pool",
  "secret",
  "device",
  "hypervisor",
  "job",
  "call",
] as const satisfies Kind[];

/** Without those that almost nobody needs, and that cost a process each on each hypervisor. */
export const USUAL_KINDS = KINDS.filter((kind) => kind !== "secret" && kind !== "device");
