/** The line of a running call. */
import { expect, test } from "vitest";
import { advance, type Bar, renderBar } from "../../../runtime/cli/bar.ts";

const MiB = 2 ** 20;
const call: Bar = { label: "libvirt/clone", samples: [] };

test("without a word of the function: the time", () => {
  expect(renderBar(call, 65_000, 0, 80)).toBe("libvirt/clone: 1 min 5 s");
});

test("bytes: a bar, the rate and the time left", () => {
  let bar = call;
  for (const s of [0, 1, 2, 3, 4])
    bar = advance(
      bar,
      { phase: "copying disk vda", percent: s * 10, bytes: s * 30 * MiB, total: 300 * MiB },
      s * 1000,
    );
  expect(renderBar(bar, 4000, 0, 120)).toBe(
    "libvirt/clone: [########------------] 40 %  120 MiB of 300 MiB  30 MiB/s  6 s left  copying disk vda",
  );
});

test("percent alone: the time left by it", () => {
  let bar = call;
  for (const s of [0, 5, 10]) bar = advance(bar, { phase: "batch", percent: s }, s * 1000);
  expect(renderBar(bar, 10_000, 0, 100)).toBe(
    "libvirt/clone: [##------------------] 10 %  1 min 30 s left  batch",
  );
});

test("what nobody knows has no bar", () => {
  const sealing = advance(call, { phase: "sealing: Examining the guest", percent: null }, 1000);
  expect(renderBar(sealing, 5000, 0, 80)).toBe("libvirt/clone: 5 s  sealing: Examining the guest");
  const saving = advance(call, { phase: "saving", percent: null, bytes: 1.5 * MiB }, 1000);
  expect(renderBar(saving, 5000, 0, 80)).toBe("libvirt/clone: 1.5 MiB  5 s  saving");
});

test("it fits its line, and no name in it moves the cursor", () => {
  const bar = advance(call, { phase: `copying \u001b[2J${"x".repeat(200)}`, percent: 1 }, 0);
  const line = renderBar(bar, 1000, 0, 60);
  expect(line).toHaveLength(59);
  expect(line).not.toContain("\u001b");
});
