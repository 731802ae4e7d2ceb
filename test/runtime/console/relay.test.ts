/** The flow between a viewer and a display, in both directions. */
import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { relay } from "../../../runtime/console/display.ts";

/** A display that takes what it is given when it is told to. */
function display() {
  const taken: Buffer[] = [];
  let take: (() => void) | undefined;
  const stream = new Duplex({
    read() {},
    write(piece: Buffer, _encoding, done) {
      taken.push(piece);
      take = done;
    },
  });
  return { stream, taken, take: () => take?.() };
}

function viewer(takes: () => boolean) {
  const seen: string[] = [];
  const closed: [number, string][] = [];
  const send = (data: Uint8Array | string) => {
    seen.push(`${data}`);
    return takes();
  };
  return { seen, closed, send, close: (...how: [number, string]) => void closed.push(how) };
}

test("a viewer who takes no more stops the display until it does", async () => {
  const { stream } = display();
  let takes = false;
  const one = viewer(() => takes);
  const end = relay(stream);
  end.open(one);
  stream.push("a");
  await turn();
  await turn();
  stream.push("b");
  await turn();
  expect([one.seen, stream.isPaused()]).toEqual([["a"], true]);
  takes = true;
  end.drain();
  await turn();
  await turn();
  expect(one.seen).toEqual(["a", "b"]);
  end.close();
  expect(stream.destroyed).toBe(true);
});

test("a display that takes nothing ends the connection before memory fills", () => {
  const { stream, taken } = display();
  const one = viewer(() => true);
  const end = relay(stream);
  end.open(one);
  for (let i = 0; i < 4; i++) end.message(Buffer.alloc(512 * 1024));
  expect(taken).toHaveLength(1);
  expect(one.closed[0]).toEqual([1013, "the guest takes nothing; connect again"]);
  end.close();
});

test("the display's end is told, also when it was before the viewer", async () => {
  const { stream } = display();
  const end = relay(stream);
  stream.destroy();
  await turn();
  const one = viewer(() => true);
  end.open(one);
  expect(one.closed[0]).toEqual([1000, "the display has closed"]);
});

test("what a filter throws ends the connection", () => {
  const { stream } = display();
  const one = viewer(() => true);
  const end = relay(stream, () => {
    throw new Error("not allowed");
  });
  end.open(one);
  end.message(Buffer.from("x"));
  expect(one.closed[0]).toEqual([1008, "not allowed"]);
  end.close();
});
