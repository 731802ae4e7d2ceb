/** Copies at once: a number for each hypervisor, for calls and for jobs. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { type Context, createContext } from "../../../../runtime/hypervisor/context.ts";
import { inCopyPlace } from "../../../../runtime/libvirt/storage/copy-place.ts";
import { answering } from "../../../fixtures/fake.ts";

const { virsh } = answering(() => "");
const on = (host: string, more: Partial<Context> = {}): Context =>
  Object.assign(createContext({ host, virsh }), more);

/** A copy that lasts until it is told to end. */
function copy() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen = { begun: false, end: resolve };
  return Object.assign(seen, {
    run: async () => {
      seen.begun = true;
      await promise;
    },
  });
}

test("two at once on a hypervisor, which is the setting unless given; another one has its own", async () => {
  const [a, b, c, other] = [copy(), copy(), copy(), copy()];
  const one = on("one");
  const all = [a, b, c].map(({ run }) => inCopyPlace(one, run));
  all.push(inCopyPlace(on("two"), other.run));
  await sleep(20);
  expect([a, b, c, other].map((each) => each.begun)).toEqual([true, true, false, true]);
  a.end();
  await all[0];
  await sleep(20);
  expect(c.begun).toBe(true);
  for (const { end } of [b, c, other]) end();
  await Promise.all(all);
});

test("what the copy returns or throws is the caller's, and its place is free again", async () => {
  const ctx = on("three");
  const fails = () => Promise.reject(new HyperError("no_space", "full"));
  for (let i = 0; i < 3; i++)
    await expect(inCopyPlace(ctx, fails)).rejects.toMatchObject({ message: "full" });
  expect(await inCopyPlace(ctx, async () => "copied")).toBe("copied");
});

test("a call that is cancelled while it waits copies nothing", async () => {
  const aborter = new AbortController();
  const [a, b, late] = [copy(), copy(), copy()];
  const all = [a, b].map(({ run }) => inCopyPlace(on("four"), run));
  const waiting = inCopyPlace(on("four", { signal: aborter.signal }), late.run);
  aborter.abort();
  await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
  for (const { end } of [a, b]) end();
  await Promise.all(all);
  expect(late.begun).toBe(false);
});

test("a job's copy has a place of all workers as well, and gives it back also when it fails", async () => {
  const steps: string[] = [];
  const job = {
    id: "1",
    openJournal: () => {
      throw new Error("nothing is made here");
    },
    keep: async () => {},
    async takeCopyPlace(host: string) {
      steps.push(`takes one on ${host}`);
      return async () => void steps.push("gives it back");
    },
  };
  const ctx = on("five", { job });
  await inCopyPlace(ctx, async () => void steps.push("copies"));
  await inCopyPlace(ctx, () => Promise.reject(new Error("no"))).catch(() => steps.push("fails"));
  expect(steps).toEqual([
    ...["takes one on five", "copies", "gives it back"],
    ...["takes one on five", "gives it back", "fails"],
  ]);
});
