import { expect, test } from "vitest";
import { type Caller, everything } from "../../../runtime/access/caller.ts";
import type { FleetEvent } from "../../../runtime/events/fleet-event.ts";
import { viewFor } from "../../../runtime/function/event-access.ts";

const base = { id: "0-1", time: "2026-01-01T00:00:00Z", detail: null, host: "kvm1" };
const who = { kind: "token", name: "ops" };
const domain = { ...base, kind: "domain", object: "web-1", event: "reboot" } as FleetEvent;
const pool = { ...base, kind: "pool", object: "default", event: "refresh" } as FleetEvent;
const call = (...domains: string[]) =>
  ({
    ...base,
    ...{
      kind: "call",
      object: "/x",
      event: "failed",
      detail: "names others",
      domains,
      request_id: "r",
      who,
    },
  }) as FleetEvent;
const job = { ...base, kind: "job", object: "1", event: "queued", domains: ["web-1"], who };
const lost = { ...base, kind: "hypervisor", object: "kvm1", event: "lost" } as FleetEvent;

const admin = everything("token", "admin");
const reader: Caller = { ...admin, name: "reader", role: "read" };
const web: Caller = { ...reader, name: "web", domains: ["web-*"] };
const ops: Caller = { ...web, name: "ops", domains: ["db-*"] };
const elsewhere: Caller = { ...admin, name: "kvm2", hosts: ["kvm2"] };

test.each<[string, Caller, FleetEvent, "all" | "nothing" | "without who"]>([
  ["a domain", admin, domain, "all"],
  ["their own domain", web, domain, "all"],
  ["another's domain", ops, domain, "nothing"],
  ["another hypervisor's domain", elsewhere, domain, "nothing"],
  ["another hypervisor", elsewhere, lost, "nothing"],
  ["their hypervisor", web, lost, "all"],
  ["a pool", reader, pool, "all"],
  ["a pool, limited to domains", web, pool, "nothing"],
  ["a call", admin, call("web-1"), "all"],
  ["another's call", reader, call("web-1"), "without who"],
  ["another's call to their domain", web, call("web-1"), "without who"],
  ["another's call to their domain and others", web, call("web-1", "db-1"), "nothing"],
  ["another's call that names no domain", web, call(), "nothing"],
  ["their own call", ops, call("web-1"), "all"],
  ["a job", admin, job as FleetEvent, "all"],
  ["another's job", reader, job as FleetEvent, "nothing"],
  ["their own job", ops, job as FleetEvent, "all"],
])("%s", (_, caller, event, expected) => {
  const seen = viewFor(caller)(event);
  if (expected === "all") expect(seen).toBe(event);
  else if (expected === "nothing") expect(seen).toBeUndefined();
  else {
    expect(seen).toEqual({ ...event, who: undefined, detail: null });
    expect(viewFor({ ...caller })(event)).toBe(seen);
  }
});

test("of a caller with a query, on each hypervisor the domains that it selects there", () => {
  const caller: Caller = { ...reader, domains: [], select: "tag:prod" };
  expect(viewFor(caller)(domain)).toBeUndefined(); // nothing was looked up
  const rights = { sees: (host: string, name: string) => host === "kvm1" && name === "web-1" };
  const view = viewFor(caller, rights);
  expect(view(domain)).toBe(domain);
  expect(view({ ...domain, host: "kvm2" } as FleetEvent)).toBeUndefined();
  expect(view(call("web-1"))).toMatchObject({ domains: ["web-1"], detail: null });
  for (const other of [call("web-1", "db-1"), call(), pool, job as FleetEvent])
    expect(view(other)).toBeUndefined();
  expect(view({ ...call("web-1"), host: null } as FleetEvent)).toBeUndefined();
});
