/** Watching the domains of libvirt's test hypervisor: what is told, and that ten who watch cost what one costs. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { log } from "../../../../runtime/core/log.ts";
import { observer } from "../../../../runtime/events/bus.ts";
import { closeHypervisors } from "../../../../runtime/hypervisor/registry.ts";
import { watchDomains } from "../../../../runtime/libvirt/live/watch.ts";

log.level = "silent";
process.env.LIBVIRT_DEFAULT_URI = "test:///default"; // needs no daemon
let commands = 0;
observer.virsh = (trip) => {
  commands += trip.commands;
};
afterAll(() => closeHypervisors());

const watcher = (sees = (_host: string, _name: string) => true) => {
  const end = new AbortController();
  const source = watchDomains(["local"], sees, end.signal)[Symbol.asyncIterator]();
  return { next: source.next.bind(source), end: () => end.abort() };
};
/** Commands of this many milliseconds. */
const during = async (ms: number) => {
  const before = commands;
  await sleep(ms);
  return commands - before;
};

test("the whole list comes first, and only what one may see", async () => {
  const [all, none] = [watcher(), watcher((_host, name) => name !== "test")];
  expect((await all.next()).value).toMatchObject({
    event: "domains",
    data: {
      ...{ host: "local", whole: true, gone: [], error: null },
      domains: [{ name: "test", state: "running" }],
    },
  });
  expect((await none.next()).value?.data).toMatchObject({ whole: true, domains: [] });
  all.end();
  none.end();
  expect((await all.next()).done).toBe(true);
});

test("ten who watch cost what one costs, and nobody costs nothing", async () => {
  const one = watcher();
  await one.next();
  const cost = await during(8000);
  expect(cost).toBeGreaterThan(0);
  const nine = Array.from({ length: 9 }, () => watcher());
  const [first] = await Promise.all(nine.map(({ next }) => next()));
  expect(first?.value?.data).toMatchObject({ whole: true }); // from memory
  const costOfTen = await during(8000);
  expect(costOfTen).toBeLessThanOrEqual(cost * 1.5); // one look more or less of four
  for (const { end } of [one, ...nine]) end();
  await sleep(300); // what was on its way
  expect(await during(3000)).toBe(0);
}, 40_000);

test("a hypervisor that is not configured is refused, and the others are left alone", async () => {
  const end = new AbortController();
  expect(() => watchDomains(["local", "nowhere"], () => true, end.signal)).toThrow(/nowhere/);
  await sleep(300);
  expect(await during(2500)).toBe(0);
});
