/** Changing the medium of a running domain while its firmware plays with the tray. */
import { expect, test, vi } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { log } from "../../../../runtime/core/log.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { changeMedium, readDrives } from "../../../../runtime/libvirt/devices/media.ts";
import { answering } from "../../../fixtures/fake.ts";

vi.mock("node:timers/promises", () => ({ setTimeout: async () => {} }));

/** A running domain, of whose drive so many changes fail. */
function running(medium: string | undefined, failures: number) {
  let source = medium && `<source file="${medium}"/>`;
  let attempts = 0;
  const fake = answering((verb, ...words) => {
    if (verb === "dumpxml")
      return `<domain><name>vm</name><devices><disk type="file" device="cdrom"><driver name="qemu" type="raw"/>${source ?? ""}<target dev="sda" bus="sata"/></disk></devices></domain>`;
    if (verb !== "update-device") return "";
    if (++attempts <= failures) return new HyperError("virsh_failed", "Tray is not open");
    [source] = `${words[3]}`.match(/<source[^>]*>/) ?? [];
    return "";
  });
  const ctx = { ...fake, host: `media ${medium} ${failures}`, log } as unknown as Context;
  const insert = async () => {
    const state = { live: true, persistent: false };
    const drives = await readDrives(ctx, "u", state);
    const wish = { target: "sda", path: "/new.iso", force: false };
    return changeMedium(ctx, "u", "Name:           vm\n", drives, wish);
  };
  return { insert, attempts: () => attempts };
}

test("an empty drive is tried again, once", async () => {
  const fake = running(undefined, 1);
  expect(await fake.insert()).toMatchObject({ path: "/new.iso", previous: null, live: true });
  const worse = running(undefined, 2);
  await expect(worse.insert()).rejects.toThrow("Tray is not open");
  expect([fake.attempts(), worse.attempts()]).toEqual([2, 2]);
});

test("a drive with a medium may be locked, which takes long to find out", async () => {
  const fake = running("/old.iso", 1);
  await expect(fake.insert()).rejects.toMatchObject({ code: "in_use" });
  expect(fake.attempts()).toBe(1);
});
