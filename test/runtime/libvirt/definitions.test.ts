/** Definitions: one QEMU that does not answer holds up nobody else, and has its last known definition. */
import { expect, test } from "vitest";
import console_ from "../../../functions/libvirt/console.ts";
import domain from "../../../functions/libvirt/domain.ts";
import list from "../../../functions/libvirt/template/list.ts";
import { HyperError } from "../../../runtime/core/errors.ts";
import { log } from "../../../runtime/core/log.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import type { Definition } from "../../../runtime/libvirt/definition-memory.ts";
import { readAnswering, readDefinitions } from "../../../runtime/libvirt/definitions.ts";
import { readStorage } from "../../../runtime/libvirt/storage/usage.ts";
import { answering } from "../../fixtures/fake.ts";

const uuidOf = (name: string) => `${name}`.padEnd(8, "0").concat("-0000-4000-8000-000000000000");
let hosts = 0;

/** As libvirt 11.3: while a call to a domain's monitor is stuck, its `dumpxml` waits too. */
function hypervisor(names: string[]) {
  const frozen = new Set<string>();
  const gone = new Set<string>();
  let late = 0;
  const nameOf = (ref: string) => names.find((name) => name === ref || uuidOf(name) === ref) ?? "";
  const fake = answering((verb, ...words) => {
    const name = nameOf(`${words[1]}`);
    if (verb === "list")
      return words.includes("--state-shutoff")
        ? ""
        : names
            .map((one) => `${uuidOf(one)}${words.includes("--name") ? ` ${one}` : ""}\n`)
            .join("");
    if (gone.has(name)) return new HyperError("not_found", "failed to get domain");
    if (verb === "domcontrol") return frozen.has(name) ? "occupied (8.039s)\n\n" : "ok\n\n";
    if (verb === "dominfo")
      return `Id: 1\nName: ${name}\nUUID: ${uuidOf(name)}\nState: running\nCPU(s): 1\nMax memory: 1 KiB\nUsed memory: 1 KiB\n`;
    if (verb === "domstate") return "running\n";
    if (verb === "dumpxml" && frozen.has(name)) {
      late++;
      throw new HyperError("timed_out", "no answer within 1.2 s");
    }
    const text = `<title>${words[2] ?? "live"}</title><devices><disk><target dev='vda'/></disk></devices>`;
    return verb === "dumpxml"
      ? `<domain><name>${name}</name><uuid>${uuidOf(name)}</uuid>${text}</domain>`
      : "";
  });
  const ctx = { host: `host ${hosts++}`, virsh: fake.virsh, log } as Context;
  return { ctx, frozen, gone, calls: fake.calls, late: () => late };
}

const summary = (definitions: (Definition | HyperError)[]) =>
  definitions.map((one) =>
    one instanceof HyperError ? one.code : one.stuck ? "last known" : "present",
  );
const NAMES = ["a", "b", "c", "d"];

test.each([
  ["none is stuck", [], ["present", "present", "present", "present"]],
  ["one is stuck", ["b"], ["present", "last known", "present", "present"]],
  ["two are stuck", ["a", "d"], ["last known", "present", "present", "last known"]],
  ["all are stuck", NAMES, ["last known", "last known", "last known", "last known"]],
])(
  "%s: the others have theirs, and a stuck one the last that was read",
  async (_what, stuck, expected) => {
    const { ctx, frozen } = hypervisor(NAMES);
    await readDefinitions(ctx, NAMES.map(uuidOf));
    for (const name of stuck) frozen.add(name);
    expect(summary(await readDefinitions(ctx, NAMES))).toEqual(expected); // asked by name now
    frozen.clear();
    expect(summary(await readDefinitions(ctx, NAMES))).toEqual(NAMES.map(() => "present"));
  },
);

test("a definition that was never read is refused, and the domain named", async () => {
  const { ctx, frozen } = hypervisor(NAMES);
  frozen.add("b");
  const definitions = await readDefinitions(ctx, NAMES.map(uuidOf));
  expect(summary(definitions)).toEqual(["present", "timed_out", "present", "present"]);
  expect(definitions[1]).toMatchObject({
    message: expect.stringMatching(
      /^QEMU of domain b does not answer its monitor, and its definition was not read/,
    ),
  });
});

test("the stored definition is remembered apart from the live one", async () => {
  const { ctx, frozen } = hypervisor(["a"]);
  await readDefinitions(ctx, ["a"]);
  frozen.add("a");
  expect(summary(await readDefinitions(ctx, ["a"]))).toEqual(["last known"]);
  expect(summary(await readDefinitions(ctx, ["a"], "--inactive"))).toEqual(["timed_out"]);
});

test("only the first call finds out by waiting", async () => {
  const { ctx, frozen, late } = hypervisor(NAMES);
  await readDefinitions(ctx, NAMES);
  frozen.add("c");
  for (let i = 0; i < 5; i++) await readDefinitions(ctx, NAMES);
  expect(late()).toBe(1);
});

test("a hypervisor that is only slow has the time of any other command", async () => {
  const { ctx } = hypervisor(["a"]);
  const { virsh } = ctx;
  const timeouts: unknown[] = [];
  const settled = virsh.settled;
  virsh.settled = async (commands, options) => {
    if (commands[0]?.[0] !== "dumpxml") return settled(commands, options);
    timeouts.push(options?.timeout);
    if (options?.timeout) throw new HyperError("timed_out", "no answer within 1.2 s");
    return settled(commands, options);
  };
  expect(summary(await readDefinitions(ctx, ["a"]))).toEqual(["present"]);
  expect(timeouts).toEqual([1200, undefined]);
});

test("a domain that has gone is not stuck", async () => {
  const { ctx, gone } = hypervisor(NAMES);
  gone.add("a");
  expect(summary(await readDefinitions(ctx, NAMES))).toEqual([
    "not_found",
    "present",
    "present",
    "present",
  ]);
});

test("a change needs the present definition", async () => {
  const { ctx, frozen } = hypervisor(["a"]);
  await readAnswering(ctx, "a");
  frozen.add("a");
  await expect(readAnswering(ctx, "a")).rejects.toMatchObject({
    code: "timed_out",
    message: expect.stringMatching(/^QEMU of domain a does not answer .*; nothing was changed$/),
  });
});

test("answers about the stuck domain say what is old or missing", async () => {
  const fresh = hypervisor(["a"]);
  fresh.frozen.add("a");
  const missing = expect.stringMatching(/cannot be read until QEMU answers/);
  const one = await domain({ name: "a" }, fresh.ctx);
  expect(one).toMatchObject({ name: "a", state: "running", id: 1, title: null, disks: [] });
  expect(one.reasons).toEqual({
    ...{ title: missing, description: missing, os: missing, disks: missing, interfaces: missing },
  });
  const screens = await console_({ name: "a" }, fresh.ctx);
  expect(screens).toMatchObject({
    graphics: [],
    reasons: { graphics: missing, consoles: missing },
  });
  expect((await list({}, fresh.ctx)).templates).toMatchObject([{ name: "a", why: ["unknown"] }]);

  const known = hypervisor(["a"]);
  await domain({ name: "a" }, known.ctx);
  known.frozen.add("a");
  const old = expect.stringMatching(/as it was last read$/);
  expect(await domain({ name: "a" }, known.ctx)).toMatchObject({
    ...{ title: "live", disks: [{ device: "vda" }], reasons: { disks: old } },
  });
});

test("who uses a volume is told for the others, and not guessed for a domain that was never read", async () => {
  const { ctx, frozen } = hypervisor(NAMES);
  frozen.add("b");
  await expect(readStorage(ctx)).rejects.toMatchObject({
    code: "timed_out",
    message: expect.stringMatching(/^QEMU of domain b /),
  });
  frozen.clear();
  await readStorage(ctx);
  frozen.add("b");
  const { uses } = await readStorage(ctx);
  expect(uses.map(({ domain }) => domain).sort()).toEqual(NAMES);
});
