/** What a caller may hear of what happens. */
import { type Caller, mayUse } from "../access/caller.ts";
import { type DomainRights, rightsByName } from "../access/domain-rights.ts";
import type { FleetEvent } from "../events/fleet-event.ts";
import { ownerOf } from "./job-access.ts";

type Told = Extract<FleetEvent, { who?: unknown }>;

/** The event as the caller may see it; undefined for one that is none of theirs. */
export function viewFor(
  caller: Caller,
  rights: Pick<DomainRights, "sees"> = rightsByName(caller),
): (event: FleetEvent) => FleetEvent | undefined {
  const knowsAll = ownerOf(caller) === undefined;
  const isOwn = ({ who }: Told) =>
    who?.kind === caller.kind && who.name === caller.name && who.fingerprint === caller.fingerprint;
  const maySee = ({ host }: FleetEvent, name: string) => rights.sees(host ?? "", name);
  return (event) => {
    if (event.host !== null && !mayUse(caller, event.host)) return undefined;
    switch (event.kind) {
      case "domain":
        return maySee(event, event.object) ? event : undefined;
      case "job":
        return knowsAll || isOwn(event) ? event : undefined;
      case "call": {
        if (knowsAll || isOwn(event)) return event;
        const { domains } = event;
        const sees = !caller.domains || domains.length > 0;
        return sees && domains.every((name) => maySee(event, name)) ? withoutWho(event) : undefined;
      }
      case "hypervisor":
      case "stream":
        return event;
      default:
        return caller.domains ? undefined : event;
    }
  };
}

/** One for all who may not know, so that it is written once. An error's text may name what is not theirs. */
const anonymous = new WeakMap<FleetEvent, FleetEvent>();

function withoutWho(event: Told): FleetEvent {
  const { who, ...rest } = event;
  const known = anonymous.get(event) ?? Object.freeze({ ...rest, detail: null } as FleetEvent);
  anonymous.set(event, known);
  return known;
}
