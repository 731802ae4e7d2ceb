/** The interfaces of a domain's definition. */
import { expect, test } from "vitest";
import { findInterface } from "../../../../runtime/libvirt/domain/interface.ts";

test("findInterface: by MAC, in any case, or none", () => {
  const definition = `<domain><devices>
    <disk><mac address='52:54:00:00:00:0c'/></disk>
    <interface type='network'><mac address='52:54:00:00:00:0a'/></interface>
    <interface type='bridge'><mac address='52:54:00:00:00:0B'/></interface>
    <interface type='user'/>
  </devices></domain>`;
  const type = (mac: string) => findInterface(definition, mac)?.["@type"];
  expect(type("52:54:00:00:00:0a")).toBe("network");
  expect(type("52:54:00:00:00:0b")).toBe("bridge");
  expect(type("52:54:00:00:00:0c")).toBeUndefined();
  expect(findInterface("<domain/>", "52:54:00:00:00:0a")).toBeUndefined();
});
