import { expect, test } from "vitest";
import { help } from "../../../runtime/cli/help.ts";
import { loadFunction } from "../../../runtime/function/load.ts";
import { allFunctions } from "../../fixtures/functions.ts";

test("a function's help has its fields, what they may be, defaults and an example", async () => {
  const text = help("libvirt/volume/wipe", (await loadFunction("/libvirt/volume/wipe")).spec);
  expect(text).toContain("Wipe a volume (POST /libvirt/volume/wipe)");
  expect(text).toContain(
    "Usage: hypersdk call libvirt/volume/wipe pool=… volume=… [algorithm=…] [force=…]",
  );
  expect(text).toMatch(
    /^ {2}algorithm {2}zero \| nnsa \| dod .* \| random \| trim \(default "zero"\): all but zero/m,
  );
  expect(text).toMatch(/^ {2}pool\* {6}text/m);
  expect(text).toContain(
    "hypersdk call libvirt/volume/wipe pool=default volume=old-disk algorithm=zero",
  );
});

test("objects by their keys, lists as repeatable, bounds", async () => {
  const deploy = help(
    "libvirt/template/deploy",
    (await loadFunction("/libvirt/template/deploy")).spec,
  );
  expect(deploy).toMatch(/^ {2}customize\[hostname\] +text/m);
  expect(deploy).toMatch(/^ {2}customize\[packages\] +text, repeatable/m);
  expect(deploy).toMatch(/^ {2}vcpus +integer 1 to 4096/m);
  const multiple = help(
    "libvirt/clone/multiple",
    (await loadFunction("/libvirt/clone/multiple")).spec,
  );
  expect(multiple).toMatch(/^ {2}count\* +integer 1 to 1000/m);
  const start = help("libvirt/batch/start", (await loadFunction("/libvirt/batch/start")).spec);
  expect(start).toContain("domains=vm1 domains=vm2 domains=vm3 paused=false");
  const create = help("libvirt/volume/create", (await loadFunction("/libvirt/volume/create")).spec);
  expect(create).toMatch(/^ {2}capacity\* +number or text/m);
});

test("every function has one", async () => {
  for (const { path, function: one } of await allFunctions()) {
    if (one) expect(help(path.slice(1), one.spec)).toContain(one.spec.summary);
  }
});
