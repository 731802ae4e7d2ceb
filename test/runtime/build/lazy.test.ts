import assert from "node:assert";
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { LAZY_REQUIRE, lazily } from "../../../runtime/build/lazy.ts";

const node = createRequire(import.meta.url);

function counted() {
  const loaded: string[] = [];
  const require = lazily((name) => {
    loaded.push(name);
    return node(name);
  });
  // biome-ignore lint/suspicious/noExplicitAny: a module may be anything
  return { loaded, require: require as (name: string) => any };
}

describe("a module", () => {
  test("is loaded with its first use, once", () => {
    const { loaded, require } = counted();
    const path = require("node:path");
    expect(loaded).toEqual([]);
    expect(path.join("a", "b")).toBe("a/b");
    expect(path.sep).toBe("/");
    expect(loaded).toEqual(["node:path"]);
  });

  test("that is a function is called, one that is a class extended", () => {
    const { require } = counted();
    expect(() => require("node:assert")(false)).toThrow(assert.AssertionError);
    const EventEmitter = require("node:events");
    class Mine extends EventEmitter {}
    const mine = new Mine() as unknown as NodeJS.EventEmitter;
    expect(mine).toBeInstanceOf(node("node:events"));
    expect(mine).toBeInstanceOf(EventEmitter);
    let heard = 0;
    mine.on("x", () => heard++);
    mine.emit("x");
    expect(heard).toBe(1);
    const old: object = {};
    EventEmitter.call(old);
  });

  test("shows and takes what the real one does", () => {
    const { require } = counted();
    const util = require("node:util");
    expect("inspect" in util).toBe(true);
    expect(Object.keys({ ...util }).sort()).toEqual(Object.keys(node("node:util")).sort());
    expect(Object.keys(util)).toContain("promisify");
    const module = lazily(() => ({ set: 1 }))("mine") as { set: number };
    module.set = 2;
    expect(module.set).toBe(2);
  });

  test("that is not there is an error when it is used", () => {
    const { require } = counted();
    const missing = require("no such module");
    expect(() => missing.x).toThrow("no such module");
  });
});

test("what a bundle begins with stands alone", () => {
  const run = new Function("require", `${LAZY_REQUIRE} return require("node:os").EOL`);
  expect(run(node)).toBe("\n");
});
