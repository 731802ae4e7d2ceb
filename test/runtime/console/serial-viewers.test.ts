/** What those who have a serial console open are told of each other, and of what the guest wrote before. */
import { expect, test } from "vitest";
import { SerialViewers } from "../../../runtime/console/serial-viewers.ts";

/** It keeps what it is sent. */
function viewer() {
  const heard: string[] = [];
  const send = (data: Uint8Array | string) => {
    heard.push(typeof data === "string" ? JSON.parse(data).type : `bytes ${Buffer.from(data)}`);
    return true;
  };
  return { heard, send, close: () => {} };
}
const NOTHING = Buffer.alloc(0);

test("who typed is told that another types, that nobody does, and that somebody does again", () => {
  const viewers = new SerialViewers();
  const [first, second, third, watches] = [viewer(), viewer(), viewer(), viewer()];
  viewers.add(first, true, NOTHING);
  viewers.add(watches, false, NOTHING);
  const typist = viewers.add(second, true, NOTHING);
  expect([first.heard, watches.heard]).toEqual([["taken"], ["taken"]]);
  expect(viewers.isTyped).toBe(true);
  viewers.remove(typist);
  expect(viewers.isTyped).toBe(false);
  expect([first.heard, watches.heard]).toEqual([
    ["taken", "free"],
    ["taken", "free"],
  ]);
  viewers.remove(viewers.add(third, true, NOTHING));
  expect(first.heard).toEqual(["taken", "free", "taken", "free"]);
  expect([second.heard, third.heard]).toEqual([[], []]);
});

test("one who watches leaves without a word", () => {
  const viewers = new SerialViewers();
  const typist = viewer();
  viewers.add(typist, true, NOTHING);
  viewers.remove(viewers.add(viewer(), false, NOTHING));
  expect(typist.heard).toEqual([]);
});

test("what the guest wrote before is told from what it writes now", () => {
  const viewers = new SerialViewers();
  const [first, second] = [viewer(), viewer()];
  viewers.add(first, true, NOTHING);
  viewers.send(Buffer.from("now"));
  viewers.add(second, false, Buffer.from("now"));
  expect(first.heard).toEqual(["bytes now"]);
  expect(second.heard).toEqual(["kept", "bytes now"]);
});
