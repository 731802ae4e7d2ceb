/** Of a domain on its way between two hypervisors: whose it is, and what of the target may be removed. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { log } from "../../../runtime/core/log.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { hasArrived } from "../../../runtime/libvirt/arrival.ts";
import { type Resource, removeResource } from "../../../runtime/libvirt/resource.ts";
import { answering } from "../../fixtures/fake.ts";

const GONE = new HyperError("not_found", "no domain with matching uuid");
const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
const JOURNEY = { from: "source", uuid: UUID };

/** Hypervisors `source` and `target`, with the state that each tells of the domain. */
function two(source: string | HyperError, target: string | HyperError, job = "None") {
  const side = (host: string, state: string | HyperError) => {
    let now = state;
    const fake = answering((verb) => {
      if (verb === "domstate") return typeof now === "string" ? `${now}\n\n` : now;
      if (verb === "undefine") now = GONE;
      if (verb === "domjobinfo") return `Job type:         ${job}\n`;
      return "volume\n";
    });
    return { ...fake, host, log };
  };
  const [one, other] = [side("source", source), side("target", target)];
  const ctx = { ...other, forHost: () => one } as unknown as Context;
  return { ctx, source: one, target: other };
}

test.each([
  ["running (booted)", GONE, false],
  ["running (booted)", "paused (migrating)", false],
  ["running (migration canceled)", "shut off (failed)", false],
  ["running (booted)", "running (migrated)", false], // its disks there are not whole
  ["shut off (destroyed)", "shut off (unknown)", false], // offline, not committed yet
  ["paused (migrating)", GONE, false],
  ["paused (migrating)", "running (migrated)", true],
  ["paused (post-copy)", "running (post-copy)", true],
  ["shut off (migrated)", "running (migrated)", true],
  ["shut off (migrated)", "paused (user)", true],
  [GONE, "running (migrated)", true],
  [GONE, "shut off (unknown)", true],
  [GONE, GONE, true], // what is left may be all that there is
] as const)("source %s, target %s: arrived %s", async (source, target, arrived) => {
  expect(await hasArrived(two(source, target).ctx, JOURNEY)).toBe(arrived);
});

test.each([
  ["running (booted)", "paused (migrating)", false],
  ["running (booted)", "shut off (failed)", false],
  ["shut off (migrated)", "shut off (shutdown)", true], // its guest has ended there since
  ["shut off (migrated)", "shut off (unknown)", true],
  ["shut off (migrated)", GONE, true], // it was stored on the source alone
  ["paused (migrating)", "shut off (shutdown)", true], // its guest went on there, and its source has not heard of it
  ["paused (migrating)", "shut off (crashed)", true],
  ["paused (migrating)", "paused (I/O error)", true],
  ["paused (migrating)", "paused (user)", true],
  ["paused (migrating)", "paused (migrating)", false],
  ["paused (migrating)", "shut off (failed)", false],
  ["shut off (shutdown)", "shut off (failed)", false], // the guest ended while it was on its way
] as const)("live, source %s, target %s: arrived %s", async (source, target, arrived) => {
  const { ctx } = two(source, target);
  expect(await hasArrived(ctx, { ...JOURNEY, live: true })).toBe(arrived);
});

test.each([
  ["shut off (migrated)", "shut off (unknown)"],
  ["shut off (unknown)", "shut off (unknown)"],
])("off, source %s from before, target %s: not arrived", async (source, target) => {
  expect(await hasArrived(two(source, target).ctx, JOURNEY)).toBe(false);
});

test.each([
  ["shut off (unknown)", "shut off (shutdown)", /not known/], // its libvirtd was started anew
  ["shut off (unknown)", GONE, /not known/],
  ["paused (migrating)", "shut off (unknown)", /not known/],
  [
    "paused (post-copy failed)",
    "paused (post-copy failed)",
    /^post-copy failed: .*postcopy-resume/,
  ],
  ["paused (post-copy failed)", "running (post-copy failed)", /^post-copy failed: /],
  ["paused (post-copy failed)", GONE, /^post-copy failed: /],
] as const)("live, source %s, target %s: both stay", async (source, target, message) => {
  const { ctx, ...sides } = two(source, target);
  const domain = { kind: "domain", name: UUID } as const;
  const resource: Resource = { kind: "arriving", ...JOURNEY, live: true, resource: domain };
  await expect(removeResource(ctx, resource)).rejects.toMatchObject({
    ...{ code: "in_use", message: expect.stringMatching(message) },
  });
  const changing = /destroy|undefine|resume|vol-delete/;
  for (const { verbs } of [sides.source, sides.target])
    expect(verbs().filter((verb) => changing.test(`${verb}`))).toEqual([]);
});

test("a side that cannot be asked is no answer", async () => {
  const away = new HyperError("unreachable", "away");
  await expect(hasArrived(two(away, GONE).ctx, JOURNEY)).rejects.toBe(away);
  await expect(hasArrived(two("running", away).ctx, JOURNEY)).rejects.toBe(away);
});

describe("what was made for it", () => {
  const of = (resource: object) =>
    ({ kind: "arriving", from: "source", uuid: UUID, resource }) as Resource;
  const VOLUME = of({ kind: "volume", pool: "p", name: "v" });
  const DOMAIN = of({ kind: "domain", name: UUID });

  test("goes while the source has it", async () => {
    const { ctx, target } = two("running (booted)", "paused (migrating)");
    await removeResource(ctx, VOLUME);
    await removeResource(ctx, DOMAIN);
    expect(target.verbs().filter((verb) => !/dom|path/.test(`${verb}`))).toEqual([
      "vol-delete",
      "destroy",
      "undefine",
    ]);
  });

  test("stays once it has come, which is told", async () => {
    const { ctx, target } = two("shut off (migrated)", "running (migrated)");
    for (const resource of [VOLUME, DOMAIN])
      await expect(removeResource(ctx, resource)).rejects.toMatchObject({
        code: "in_use",
        message: `domain ${UUID} has come to target, so that it stays`,
      });
    expect(target.verbs()).not.toContain("vol-delete");
  });

  test("a source that was left paused goes on, when libvirt has ended its job", async () => {
    const { ctx, source } = two("paused (migrating)", GONE);
    await removeResource(ctx, DOMAIN);
    expect(source.calls.at(-1)).toEqual(["resume", "--domain", UUID]);
    const busy = two("paused (migrating)", GONE, "Unbounded");
    await expect(removeResource(busy.ctx, DOMAIN)).rejects.toMatchObject({ code: "busy" });
    const own = two("paused (user)", GONE);
    await removeResource(own.ctx, DOMAIN);
    expect(own.source.verbs()).not.toContain("resume");
  });
});
