import { expect, test } from "vitest";
import { readEvents } from "../../../runtime/client/events.ts";
import { followEvents } from "../../../runtime/client/follow-events.ts";
import type { Call, FleetEvent } from "../../../runtime/client/types.ts";
import { HyperError } from "../../../runtime/core/errors.ts";

/** A server whose streams are these, one connection after the other; an error is that of the connection. */
function serving(...streams: (string | Error)[][]) {
  const asked: object[] = [];
  const call = async (_endpoint: string, input: object, options: object) => {
    asked.push({ ...input, ...options });
    const items = streams.shift() ?? [];
    return (async function* () {
      for (const one of items) {
        if (one instanceof Error) throw one;
        yield { id: one, data: { id: one, object: one } };
      }
    })();
  };
  return { asked, call: call as unknown as Call };
}

const away = new HyperError("unreachable", "it is away");
const objects = async (events: AsyncIterable<FleetEvent>, until: string) => {
  const heard: string[] = [];
  for await (const { object } of events) {
    heard.push(object);
    if (object === until) break;
  }
  return heard;
};

test("the loop goes on after the last event when a connection ends or is lost", async () => {
  const { asked, call } = serving(["1", "2", away], [away], ["3"], ["4"]);
  const events = followEvents(call, { kind: "domain", name: ["a", "b"] }, { host: "kvm1" });
  expect(await objects(events, "4")).toEqual(["1", "2", "3", "4"]);
  const filter = { kind: ["domain"], name: ["a", "b"], host: "kvm1" };
  expect(asked).toMatchObject([
    { ...filter, last_event_id: undefined },
    { ...filter, last_event_id: "2" },
    { ...filter, last_event_id: "2" },
    { ...filter, last_event_id: "3" },
  ]);
});

test("a refusal ends the loop, and so does the signal, without an error", async () => {
  const refused = new HyperError("forbidden", "it may not");
  await expect(objects(followEvents(serving([refused]).call), "")).rejects.toBe(refused);
  const stop = new AbortController();
  const { call } = serving(["1", away]);
  const heard: string[] = [];
  for await (const { object } of followEvents(call, {}, { signal: stop.signal })) {
    heard.push(object);
    setTimeout(() => stop.abort(), 20);
  }
  expect(heard).toEqual(["1"]);
});

test("what JavaScript takes for the end of a line ends no field of an event", async () => {
  const text = `event: domain\ndata: ${JSON.stringify("a\u2028b\u0085c\r")}\nid: 1\n\n`;
  const events = readEvents(new Response(text), (error) => error);
  expect(await events.next()).toMatchObject({ value: { id: "1", data: "a\u2028b\u0085c\r" } });
});
