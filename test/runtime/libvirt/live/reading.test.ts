/** Networks, pools, volumes and hypervisors of libvirt's test hypervisor, as many watch them: they are read for all at once. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { log } from "../../../../runtime/core/log.ts";
import { observer } from "../../../../runtime/events/bus.ts";
import { publish } from "../../../../runtime/events/hub.ts";
import { closeHypervisors } from "../../../../runtime/hypervisor/registry.ts";
import { watchReports } from "../../../../runtime/libvirt/live/hosts.ts";
import { watchNetworks } from "../../../../runtime/libvirt/live/networks.ts";
import { watchPools } from "../../../../runtime/libvirt/live/pools.ts";
import { until } from "../../../fixtures/fake.ts";

log.level = "silent";
process.env.LIBVIRT_DEFAULT_URI = "test:///default"; // needs no daemon
let commands = 0;
observer.virsh = (trip) => {
  commands += trip.commands;
};
afterAll(() => closeHypervisors());

const WATCHES: [string, (signal: AbortSignal) => AsyncGenerator<{ data: unknown }>, object][] = [
  [
    "networks",
    (signal) => watchNetworks("local", signal),
    { networks: [{ name: "default", active: true, details: { bridge: "virbr0" } }], error: null },
  ],
  [
    "pools",
    (signal) => watchPools("local", "default-pool", signal),
    { pools: [{ name: "default-pool", active: true }], error: null },
  ],
  [
    "hypervisors",
    (signal) => watchReports(["local"], signal),
    { hosts: [{ host: "local", state: "up" }] },
  ],
];

/** Collects what one who watches is told. */
function watcher(open: (typeof WATCHES)[number][1]) {
  const end = new AbortController();
  const told: unknown[] = [];
  const over = (async () => {
    for await (const { data } of open(end.signal)) told.push(data);
  })();
  return { told, end: () => end.abort(), over };
}
/** Another client of this server changes something. */
const change = () =>
  publish({
    ...{ kind: "call", host: "local", object: "/libvirt/network/stop", event: "success" },
    ...{ detail: null, domains: [], request_id: "1", who: { kind: "process", name: "test" } },
  });
/** Commands until nothing more is asked. */
async function costOf(work: () => Promise<unknown>) {
  const before = commands;
  await work();
  for (let at = -1; at !== commands; await sleep(700)) at = commands;
  return commands - before;
}

test.each(WATCHES)(
  "%s: ten who watch cost what one costs, and nobody costs nothing",
  async (_what, open, shape) => {
    const one = watcher(open);
    await costOf(() => until(() => one.told.length > 0));
    expect(one.told[0]).toMatchObject(shape);
    const cost = await costOf(async () => change());
    expect(cost).toBeGreaterThan(0);
    const nine = Array.from({ length: 9 }, () => watcher(open));
    const joining = costOf(() => until(() => nine.every(({ told }) => told.length > 0)));
    expect(await joining).toBe(0); // from memory
    expect(nine[8]?.told[0]).toMatchObject(shape);
    expect(await costOf(async () => change())).toBe(cost);
    for (const { end } of [one, ...nine]) end();
    await Promise.all([one, ...nine].map(({ over }) => over));
    expect(await costOf(async () => change())).toBe(0);
  },
  60_000,
);

test("a network that is stopped is told to all, and what has not changed is not told", async () => {
  const two = [watcher(WATCHES[0]?.[1] as never), watcher(WATCHES[0]?.[1] as never)];
  await until(() => two.every(({ told }) => told.length > 0));
  change();
  await sleep(700);
  expect(two.map(({ told }) => told.length)).toEqual([1, 1]);
  for (const { end } of two) end();
  await Promise.all(two.map(({ over }) => over));
});

test("what cannot be read is told with its reason, and is not taken for empty", async () => {
  const none = watcher((signal) => watchPools("local", "nowhere", signal));
  await until(() => none.told.some((one) => (one as { volumes_error?: unknown }).volumes_error));
  expect(none.told.at(-1)).toMatchObject({
    volumes: null,
    volumes_error: expect.stringContaining("nowhere"),
  });
  none.end();
  await none.over;
});
