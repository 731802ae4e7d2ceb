/** All domains of the fleet, as they change. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { chosen, type SortKey } from "../domain/choose.ts";
import { DomainTable } from "../domain/table.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import {
  allDomains,
  connection,
  followFleet,
  hostErrors,
  refusal,
  shape,
  ticks,
} from "../state/fleet.ts";
import { plural } from "../state/format.ts";
import { can } from "../state/who.ts";

export function DomainsView() {
  useEffect(() => (can("/libvirt/domains/watch") ? followFleet() : undefined), []);
  const text = useSignal("");
  const state = useSignal("");
  const sort = useSignal<SortKey>("name");
  const isDown = useSignal(false);
  const keys = useComputed(() => {
    shape.value;
    if (sort.value !== "name" && sort.value !== "state") ticks.value; // these move with every update
    return chosen(text.value, state.value, sort.value, isDown.value);
  });
  const order = (key: SortKey) => {
    isDown.value = sort.value === key ? !isDown.value : key !== "name" && key !== "state";
    sort.value = key;
  };
  return (
    <>
      <ViewHead title="Domains" note={<Counts />}>
        <label class="filter">
          <span class="hidden">Filter by name or hypervisor</span>
          <input
            type="search"
            placeholder="Filter by name"
            value={text.value}
            onInput={({ currentTarget }) => {
              text.value = currentTarget.value;
            }}
          />
        </label>
        <label class="filter">
          <span class="hidden">State</span>
          <select
            value={state.value}
            onChange={({ currentTarget }) => {
              state.value = currentTarget.value;
            }}
          >
            <option value="">All states</option>
            <option value="running">Running</option>
            <option value="paused">Paused</option>
            <option value="shut off">Shut off</option>
            <option value="crashed">Crashed</option>
          </select>
        </label>
      </ViewHead>
      <Problems />
      <DomainTable keys={keys} sort={sort.value} isDown={isDown.value} onSort={order} />
    </>
  );
}

function Counts() {
  shape.value;
  if (connection.value === "connecting") return <>Connecting …</>;
  const all = allDomains().map(({ value }) => value.state);
  const running = all.filter((state) => state === "running").length;
  return (
    <>
      {plural(all.length, "domain")}, {running} running
    </>
  );
}

function Problems() {
  const failed = Object.entries(hostErrors.value).filter(([, error]) => error !== null);
  return (
    <div role="status">
      {refusal.value !== null && (
        <p class="problem">
          What you see may be old, since the server does not tell of changes: {refusal}
        </p>
      )}
      {failed.map(([host, error]) => (
        <p key={host} class="problem">
          {host} cannot be read, and its domains may have changed: {error}
        </p>
      ))}
    </div>
  );
}
