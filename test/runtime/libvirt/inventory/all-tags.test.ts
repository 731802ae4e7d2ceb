/** The tags of all domains: what is asked again, and what is not known. */
import { expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { log } from "../../../../runtime/core/log.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { readAllTags } from "../../../../runtime/libvirt/inventory/all-tags.ts";
import { answering } from "../../../fixtures/fake.ts";

const NAMES = ["web", "db", "stuck"];
const uuidOf = (name: string) =>
  `${Buffer.from(name).toString("hex").padEnd(12, "0").slice(0, 8)}-0000-4000-8000-000000000000`;

function hypervisor(age: number) {
  const tags = new Map([["web", ["prod"]]]);
  const identity = new Map(NAMES.map((name) => [name, "1"]));
  const fake = answering((verb, ...words) => {
    if (verb === "list") return NAMES.map((name) => `${uuidOf(name)} ${name}\n`).join("");
    const name = NAMES.find((one) => words.includes(uuidOf(one))) ?? "";
    if (name === "stuck") return new HyperError("timed_out", "no answer");
    const own = tags.get(name);
    if (!own) return new HyperError("not_found", "metadata not found");
    return `<tags>${own.map((tag) => `<tag>${tag}</tag>`).join("")}</tags>`;
  });
  const exec = async () => {
    const entries = (list: [string, string][]) =>
      list.map(([name, id]) => `${name}\0ff:8:${1000 - age}:${id}\0tmpfs\0`).join("");
    const stored = entries([...identity].map(([name, id]) => [`${name}.xml`, id]));
    const stdout = `1000\0/stored\0${stored}\0${0}\0/running\0${entries([["driver.pid", "0"]])}\0${0}\0`;
    return { stdout, stderr: "", exitCode: 0 };
  };
  const host = `tags ${age}`;
  const ctx = { ...fake, exec, uri: "qemu:///system", log, host } as unknown as Context;
  const asked = () =>
    fake.calls
      .splice(0)
      .filter(([verb]) => verb === "metadata")
      .map(([, , uuid]) => NAMES.find((name) => uuidOf(name) === uuid));
  return { ctx, tags, identity, asked };
}

test("a domain whose definition is the same is not asked again, and one of which it is not known is", async () => {
  const { ctx, tags, identity, asked } = hypervisor(10);
  const first = [
    ["web", ["prod"]],
    ["db", []],
    ["stuck", null],
  ] as const;
  expect([...(await readAllTags(ctx))]).toEqual(first);
  expect(asked()).toEqual(NAMES);
  expect([...(await readAllTags(ctx))]).toEqual(first);
  expect(asked()).toEqual(["stuck"]);
  tags.set("db", ["dev"]);
  identity.set("db", "2");
  expect((await readAllTags(ctx)).get("db")).toEqual(["dev"]);
  expect(asked()).toEqual(["db", "stuck"]);
});

test("one that was changed just now may change once more, and is asked each time", async () => {
  const { ctx, asked } = hypervisor(1);
  for (let i = 0; i < 2; i++) {
    await readAllTags(ctx);
    expect(asked()).toEqual(NAMES);
  }
});
