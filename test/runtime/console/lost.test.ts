/** Whether libvirt has gone while a console was open: heard from a virsh that tells what the tests want. */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { watchLibvirt } from "../../../runtime/console/lost.ts";
import { closeHypervisors } from "../../../runtime/hypervisor/registry.ts";
import { eventTeller, type Teller } from "../../fixtures/event-teller.ts";
import { until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";

const { PATH } = process.env;
process.env.LIBVIRT_DEFAULT_URI = "qemu:///system";
let teller: Teller;
let end: AbortController;
beforeEach(() => {
  teller = eventTeller();
  process.env.PATH = `${teller.folder}:${PATH}`;
  end = new AbortController();
});
afterEach(async () => {
  end.abort();
  await closeHypervisors(); // what listens goes on for a while otherwise
  teller.remove();
});

/** What is known of it by now. */
function watched() {
  const { ready, lost } = watchLibvirt("local", end.signal);
  const known: { why?: string | undefined }[] = [];
  void lost.then((why) => known.push({ why }));
  return { ready, lost, known };
}

test("its loss is told once it is listened to; the end of the console is none", async () => {
  const one = watched();
  await one.ready;
  teller.lifecycle("web");
  expect(one.known).toEqual([]);
  process.kill(Number(teller.pids().at(-1)), "SIGKILL");
  expect(await one.lost).toEqual(expect.any(String));
  const two = watched();
  await two.ready;
  end.abort();
  expect(await two.lost).toBeUndefined();
});

test("one that is found later may have been lost unheard, and one that never is is not known to", async () => {
  const virsh = join(teller.folder, "virsh");
  renameSync(virsh, `${virsh}.away`);
  writeFileSync(virsh, "#!/bin/sh\necho 'error: no connection' >&2\nexit 1\n", { mode: 0o755 });
  const one = watched();
  await one.ready;
  expect(one.known).toEqual([]);
  renameSync(`${virsh}.away`, virsh);
  await until(() => one.known.length === 1, "it is found", 20_000);
  expect(one.known).toEqual([{ why: "it was away" }]);
});

test("one that was lost before is listened to at once, and its loss is none of a console opened since", async () => {
  const virsh = join(teller.folder, "virsh");
  renameSync(virsh, `${virsh}.away`);
  writeFileSync(virsh, "#!/bin/sh\necho 'error: no connection' >&2\nexit 1\n", { mode: 0o755 });
  const before = watched();
  await sleep(slow(3000)); // its pauses are long by now
  renameSync(`${virsh}.away`, virsh);
  const began = performance.now();
  const one = watched();
  await one.ready;
  expect(teller.pids()).toHaveLength(1);
  expect(performance.now() - began).toBeLessThan(slow(1000));
  await until(() => before.known.length === 1, "the one before hears of it");
  expect(one.known).toEqual([]);
  process.kill(Number(teller.pids().at(-1)), "SIGKILL");
  expect(await one.lost).toEqual(expect.any(String));
});
