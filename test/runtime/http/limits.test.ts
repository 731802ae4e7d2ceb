/** A call's places on hypervisors. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { Admission, countCall } from "../../../runtime/http/limits.ts";
import { guarded } from "../../fixtures/access.ts";

const access = guarded("limits.per_host = 1", "limits.wait = 0.02", "limits.rate = 3");
Object.assign(process.env, access.env);
afterAll(access.remove);
const never = new AbortController().signal;

test("it enters once, and leaves with the call", async () => {
  const first = new Admission("read", never);
  await Promise.all([first.enter("kvm1"), first.enter("kvm1")]);
  const second = new Admission("read", never);
  await expect(second.enter("kvm1")).rejects.toMatchObject({ code: "busy" });
  first.leave();
  const third = new Admission("read", never);
  await third.enter("kvm1");
  third.leave();
});

test("hypervisors, and looking and changing, are apart", async () => {
  const all = [
    new Admission("read", never),
    new Admission("read", never),
    new Admission("change", never),
  ];
  await Promise.all([all[0]?.enter("kvm1"), all[1]?.enter("kvm2"), all[2]?.enter("kvm1")]);
  for (const one of all) one.leave();
});

test("a second hypervisor of the same call is not waited for", async () => {
  const [a, b] = [new Admission("read", never), new Admission("read", never)];
  await Promise.all([a.enter("kvm1"), b.enter("kvm2")]);
  await Promise.all([a.enter("kvm2"), b.enter("kvm1")]);
  a.leave();
  await expect(new Admission("read", never).enter("kvm1")).rejects.toMatchObject({ code: "busy" }); // b's
  b.leave();
  const after = new Admission("read", never);
  await after.enter("kvm1");
  after.leave();
});

test("one that leaves while it waits gives back what it gets", async () => {
  const [a, b] = [new Admission("read", never), new Admission("read", never)];
  await a.enter("kvm1");
  const waits = b.enter("kvm1");
  b.leave();
  a.leave();
  await waits;
  const after = new Admission("read", never);
  await after.enter("kvm1");
  after.leave();
});

test("calls of a second are counted for each caller", async () => {
  for (let n = 0; n < 3; n++) countCall("a", 3);
  const refused = expect.objectContaining({
    code: "rate_limited",
    status: 429,
    details: { retry_after: 1 },
  });
  expect(() => countCall("a", 3)).toThrow(refused);
  countCall("b", 3);
  await sleep(1000);
  countCall("a", 3);
});
