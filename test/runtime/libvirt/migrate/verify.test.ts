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
