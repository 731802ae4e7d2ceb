import { expect, test } from "vitest";
import type { FleetEvent } from "../../../runtime/events/fleet-event.ts";
import { listen, publish, resync } from "../../../runtime/events/hub.ts";
import { MAX_WAITING } from "../../../runtime/events/listener.ts";

const started = (object: string, host = "kvm1") =>
  publish({
    kind: "domain",
    host,
    object,
    event: "lifecycle",
    action: "started",
    reason: "booted",
    detail: "Started Booted",
  });

const objects = (events: FleetEvent[]) => events.map(({ object }) => object);

test("every listener hears what its filter lets pass, in order", () => {
  const all = listen({});
  const some = listen({ kinds: ["domain"], hosts: ["kvm2"], names: ["b"], events: ["started"] });
  for (const name of ["a", "b"]) for (const host of ["kvm1", "kvm2"]) started(name, host);
  publish({ kind: "pool", host: "kvm2", object: "b", event: "refresh", detail: null });
  const heard = all.take();
  expect(objects(heard)).toEqual(["a", "a", "b", "b", "b"]);
  const numbers = heard.map(({ id }) => Number(id.split("-")[1]));
  expect(numbers).toEqual(numbers.map((_, i) => Number(numbers[0]) + i));
  expect(some.take().map(({ host, object }) => `${host}/${object}`)).toEqual(["kvm2/b"]);
  started("c");
  all.close();
  some.close();
  started("d");
  expect(objects(all.take())).toEqual(["c"]);
});

test("a view hides events, and parts of them", () => {
  const listener = listen({
    view: (event) => (event.object === "secret" ? undefined : { ...event, detail: null }),
  });
  started("secret");
  started("open");
  expect(listener.take()).toMatchObject([{ object: "open", detail: null }]);
  listener.close();
});

test("the loop waits for events, and ends when the listener is closed", async () => {
  const listener = listen({ kinds: ["domain"] });
  const heard: string[] = [];
  const loop = (async () => {
    for await (const { object } of listener) heard.push(object);
  })();
  for (let i = 0; i < 3000; i++) started(`d${i}`);
  await new Promise(setImmediate);
  started("last");
  await new Promise(setImmediate);
  listener.close();
  await loop;
  expect(heard).toHaveLength(3001);
  expect(heard.at(-1)).toBe("last");
});

test("who does not read is cut off with a reason, and the others hear everything", async () => {
  const [frozen, reading] = [listen({}), listen({})];
  let heard = 0;
  for (let i = 0; i <= MAX_WAITING; i++) {
    started(`d${i}`);
    heard += reading.take().length;
  }
  expect(heard).toBe(MAX_WAITING + 1);
  const left: FleetEvent[] = [];
  for await (const event of frozen) left.push(event);
  expect(left).toMatchObject([
    {
      kind: "stream",
      event: "cut-off",
      detail: `the listener did not read for ${MAX_WAITING} events`,
    },
  ]);
  const after = listen({ kinds: ["domain"] }, left[0]?.id); // has missed what waited for it
  expect(after.take()).toMatchObject([{ event: "resync" }]);
  after.close();
  reading.close();
});

test("a listener goes on after an ID; where that is not known any more, a resync says so", () => {
  const { id } = started("first");
  started("second");
  const again = listen({ names: ["second", "third"] }, id);
  started("third");
  expect(objects(again.take())).toEqual(["second", "third"]);
  again.close();
  const start = `${id.split("-")[0]}`;
  for (const foreign of ["00000000-1", `${start}-999999999999`, "x", "", `${start}-0x1`]) {
    const listener = listen({ kinds: ["domain"] }, foreign);
    expect(listener.take()).toMatchObject([
      {
        kind: "stream",
        event: "resync",
        host: null,
        read: ["/libvirt/domains", "/libvirt/snapshots"],
      },
    ]);
    listener.close();
  }
  const none = listen({}, `${started("last").id}`);
  expect(none.take()).toEqual([]);
  none.close();
});

test("a resync passes the filters of those whom it is about", () => {
  const mine = listen({ kinds: ["pool"], hosts: ["kvm1"], names: ["x"], events: ["refresh"] });
  publish(resync("kvm2", ["pool"], "elsewhere"));
  publish(resync("kvm1", ["domain"], "of others"));
  publish(resync("kvm1", ["network", "pool"], "mine"));
  expect(mine.take()).toMatchObject([{ detail: "mine", kinds: ["network", "pool"] }]);
  mine.close();
});
