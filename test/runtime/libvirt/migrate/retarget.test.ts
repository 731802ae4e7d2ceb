/** Definitions whose disks have other places on the other hypervisor. */
import { expect, test } from "vitest";
import type { DiskCopy } from "../../../../runtime/libvirt/migrate/disks.ts";
import { isMoved, retargeted } from "../../../../runtime/libvirt/migrate/retarget.ts";

const copy = (target: string, from: string, pool: string, to: string) =>
  ({
    ...{ target, pool, path: to, name: to.slice(to.lastIndexOf("/") + 1), backing: undefined },
    image: { path: from, format: "qcow2", volume: { pool: "default", name: "a" } },
  }) as unknown as DiskCopy;

const DOMAIN = `<domain>
  <!-- kept -->
  <devices>
    <disk type='file'><driver type='qcow2'/><source file='/p/a.qcow2' index='1'/><target dev='vda'/></disk>
    <disk type='volume'><source pool='default' volume='b'/><target dev='vdb'/></disk>
    <disk type='file' device='cdrom'><target dev='sda'/></disk>
    <disk type='file'><source file='/p/c'/><target dev='vdc'/></disk>
  </devices>
</domain>`;

test("only copies that lie elsewhere change, byte for byte the rest stays", () => {
  const copies = [
    copy("vda", "/p/a.qcow2", "other", "/o/a.qcow2"),
    copy("vdb", "/p/b", "other", "/o/b"),
  ];
  const paths = new Map([
    ["vda", "/o/a.qcow2"],
    ["vdb", "/o/b"],
  ]);
  expect(retargeted(DOMAIN, copies, paths)).toBe(
    DOMAIN.replace("/p/a.qcow2", "/o/a.qcow2").replace("pool='default'", "pool='other'"),
  );
  const same = copy("vda", "/p/a.qcow2", "default", "/p/a.qcow2");
  expect(retargeted(DOMAIN, [same], new Map([["vda", "/p/a.qcow2"]]))).toBe(DOMAIN);
});

test("a copy is moved where its path or its pool is another", () => {
  expect(isMoved(copy("vda", "/p/a", "default", "/p/a"))).toBe(false);
  expect(isMoved(copy("vda", "/p/a", "default", "/q/a"))).toBe(true);
  expect(isMoved(copy("vda", "/p/a", "other", "/p/a"))).toBe(true);
});
