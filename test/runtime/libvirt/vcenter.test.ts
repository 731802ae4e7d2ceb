/** What a URI of VMware's is made of. */
import { expect, test } from "vitest";
import { VcenterServer } from "../../../runtime/libvirt/vcenter.ts";

const server = { hostname: "esx1.example", username: "root", password: "secret" };

test("a datacenter is a path", () => {
  const input = { ...server, datacenter: "Main ü/cluster/esxi1" };
  expect(VcenterServer.parse(input).datacenter).toBe(input.datacenter);
});

test.each(["a\ud800", "a\n", "a?b", "a#b", ""])("the datacenter %j is refused", (datacenter) => {
  const { error } = VcenterServer.safeParse({ ...server, datacenter });
  expect(error?.issues.map(({ path }) => path)).toEqual([["datacenter"]]);
});
