/** POST /libvirt/domain/rename */
import { describe, expect, test } from "vitest";
import call from "../../../../functions/libvirt/domain/rename.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
const OTHER = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a02";

interface Libvirt {
  name?: string;
  state?: string;
  saved?: "yes" | "no";
  /** What `domrename` does. */
  rename?: (to: string) => string | HyperError;
}

/** A libvirt with the domain and another one, `other`. */
function libvirt({ name = "vm", state = "shut off", saved = "no", rename }: Libvirt = {}) {
  const domain = { name };
  const fake = answering((verb, ...words) => {
    if (verb === "list") return `${UUID} ${domain.name}\n${OTHER} other\n`;
    if (verb === "dominfo") return `UUID: ${UUID}\nState: ${state}\nManaged save: ${saved}\n`;
    const to = `${words.at(-1)}`;
    if (rename) return rename(to);
    domain.name = to;
    return "Domain successfully renamed\n";
  });
  return Object.assign(fake, {
    renames: () => fake.calls.filter(([verb]) => verb === "domrename"),
  });
}

test("renames, and answers from what libvirt then has", async () => {
  const fake = libvirt();
  const answer = await call({ name: "vm", new_name: "it's new" }, fake);
  expect(answer).toEqual({ name: "it's new", uuid: UUID, previous_name: "vm" });
  expect(fake.renames()).toEqual([["domrename", "--domain", UUID, "--new-name", "it's new"]]);
  const { message } = call.spec;
  const input = { name: "vm", new_name: "it's new" };
  expect(typeof message === "function" && message(answer, input)).toBe(
    "Domain vm renamed to it's new",
  );
});

test("a name that is a number is no ID, and a UUID is answered with the name", async () => {
  const numbered = libvirt({ name: "7" });
  expect(await call({ name: "7", new_name: "8" }, numbered)).toMatchObject({ previous_name: "7" });
  const named = await call({ name: UUID, new_name: "new" }, libvirt());
  expect(named).toMatchObject({ name: "new", previous_name: "vm" });
});

describe("refuses, and renames nothing", () => {
  test.each([
    [{ state: "running" }, "in_use", "name: domain vm is running; shut it down first"],
    [{ state: "paused" }, "in_use", "name: domain vm is paused; shut it down first"],
    [{ saved: "yes" }, "in_use", /^name: domain vm has a managed save/],
  ] as const)("%j", async (state, code, message) => {
    const fake = libvirt(state);
    await expect(call({ name: "vm", new_name: "new" }, fake)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(fake.renames()).toEqual([]);
  });

  test.each(["other", "vm"])("a name that is taken: %s", async (new_name) => {
    const fake = libvirt();
    await expect(call({ name: "vm", new_name }, fake)).rejects.toMatchObject({
      code: "already_exists",
      message: `new_name: domain '${new_name}' already exists`,
    });
    expect(fake.renames()).toEqual([]);
  });

  test.each([
    [{}, /^name: /],
    [{ name: "vm" }, /^new_name: required/],
    [{ name: "--all", new_name: "new" }, /^name: /],
    [{ name: "vm", new_name: "" }, /^new_name: /],
    [{ name: "vm", new_name: "-x" }, /^new_name: /],
    [{ name: "vm", new_name: "a/b" }, /^new_name: /],
    [{ name: "vm", new_name: "a\nb" }, /^new_name: /],
    [{ name: "vm", new_name: UUID }, /^new_name: must not be a UUID/],
    [{ name: "vm", new_name: "new", force: true }, /unknown key "force"/],
  ])("%j", async (input, message) => {
    const fake = libvirt();
    await expect(call(input as never, fake)).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
    expect(fake.calls).toEqual([]);
  });
});

describe("what libvirt says", () => {
  test("is the error of a rename that it refuses", async () => {
    const no = new HyperError("already_exists", "domain with name 'new' already exists");
    const fake = libvirt({ rename: () => no });
    await expect(call({ name: "vm", new_name: "new" }, fake)).rejects.toBe(no);
  });

  test("counts, whatever virsh has said", async () => {
    const fake = libvirt({ rename: () => "Domain successfully renamed\n" });
    await expect(call({ name: "vm", new_name: "new" }, fake)).rejects.toMatchObject({
      code: "virsh_failed",
      message: "virsh renamed vm to new, but libvirt has it as vm",
    });
  });

  test("is unknown where it cannot be read afterwards", async () => {
    let renamed = false;
    const fake = answering((verb) => {
      if (verb === "list" && renamed) return new HyperError("unreachable", "gone");
      if (verb === "domrename") renamed = true;
      return verb === "dominfo" ? `UUID: ${UUID}\nState: shut off\n` : `${UUID} vm\n`;
    });
    await expect(call({ name: "vm", new_name: "new" }, fake)).rejects.toMatchObject({
      code: "outcome_unknown",
      message: expect.stringContaining("gone"),
    });
  });
});
