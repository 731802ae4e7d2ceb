/** What the target's libvirt has defined is compared with what it was given. */
import { expect, test } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { assertSame } from "../../../../runtime/libvirt/migrate/verify.ts";
import { answering } from "../../../fixtures/fake.ts";

const definition = (devices: string) =>
  `<domain type='kvm'><name>vm</name><memory>1</memory><os><type machine='q35'>hvm</type></os><devices>${devices}</devices></domain>`;
const NICS = "<interface><mac address='52:54:00:00:00:01'/></interface><rng/>";

const compare = (given: string, defined: string) => {
  const target = { ...answering(() => definition(defined)), host: "b" } as unknown as Context;
  return assertSame(target, "uuid", definition(given));
};

test("what a newer libvirt adds is no difference, as the watchdog of q35 from 9.1 on", async () => {
  await compare(NICS, `${NICS}<watchdog model='itco' action='reset'/>`);
  await compare(NICS, `${NICS}<rng/>`);
});

test.each([
  [NICS, NICS.replace("<rng/>", "")],
  [`${NICS}<rng/>`, NICS],
])("a device that is missing is one: %s, %s", async (given, defined) => {
  await expect(compare(given, defined)).rejects.toMatchObject({
    ...{ code: "unsupported", message: expect.stringMatching(/with other devices$/) },
  });
});

test("so are other interfaces, and other disks beside the same ones", async () => {
  await expect(compare(NICS, NICS.replace("01'", "02'"))).rejects.toThrow(/interfaces/);
  await expect(compare(NICS, `${NICS}<disk><target dev='vda'/></disk>`)).rejects.toThrow(/disks/);
});

test("metadata that is indented in another way is the same, and other text is not", async () => {
  const metadata = (text: string) => `</devices><metadata>${text}</metadata><devices>`;
  const tags = metadata("\n  <tags xmlns='t'>\n    <tag>a b</tag>\n  </tags>\n");
  await compare(tags, tags.replaceAll("\n", "\n    "));
  await compare(tags, tags.replaceAll(/\n */g, ""));
  await expect(compare(tags, tags.replace("a b", "ab"))).rejects.toThrow(/other metadata$/);
});

test("firmware variables are the same where a later libvirt names the file that an earlier one leaves to itself", async () => {
  const uefi = (nvram: string) =>
    definition("").replace(/<os>.*<\/os>/, `<os firmware='efi'>${nvram}</os>`);
  const defined = (nvram: string) => {
    const target = { ...answering(() => uefi(nvram)), host: "b" } as unknown as Context;
    return assertSame(target, "uuid", uefi(""));
  };
  await defined(
    "<nvram template='/x.fd' format='raw'>/var/lib/libvirt/qemu/nvram/vm_VARS.fd</nvram>",
  );
  await expect(defined("<nvram>/other.fd</nvram>")).rejects.toThrow(/other nvram$/);
});
