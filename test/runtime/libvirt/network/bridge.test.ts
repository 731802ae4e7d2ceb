/** Whether a network may make its bridge. */
import { describe, expect, test } from "vitest";
import { assertBridgeIsFree } from "../../../../runtime/libvirt/network/bridge.ts";

/** A hypervisor that has the interface eth0, the bridge br0 with a port, and the bridge virbr9 without. */
function hypervisor() {
  const paths = ["eth0", "br0", "br0/bridge", "virbr9", "virbr9/bridge"];
  const exec = async (argv: string[]) => {
    const path = `${argv.at(-1)}`;
    const there = paths.includes(path.replace("/sys/class/net/", ""));
    const stdout = path.endsWith("br0/brif") ? "vnet0\n" : "";
    const found = there || path.endsWith("/brif");
    const stderr = found ? "" : `ls: cannot access '${path}': No such file or directory\n`;
    return { stdout, stderr, exitCode: found ? 0 : 2 };
  };
  return { exec };
}

const network = { name: "n", active: false, bridge: "br0", forward: "nat" };

describe("assertBridgeIsFree", () => {
  test.each(["none", "nat", "route", "open"])(
    "refuses the name of an interface, with forward %s",
    async (forward) => {
      const ctx = hypervisor();
      await expect(assertBridgeIsFree(ctx, { ...network, forward })).rejects.toMatchObject({
        code: "already_exists",
        message:
          "network n cannot make its bridge br0: the hypervisor has an interface of that name",
      });
    },
  );

  test("refuses the name of an interface that is no bridge", async () => {
    const call = assertBridgeIsFree(hypervisor(), { ...network, bridge: "eth0" });
    await expect(call).rejects.toMatchObject({ code: "already_exists" });
  });

  test.each<[string, Partial<Parameters<typeof assertBridgeIsFree>[1]>]>([
    ["a name that is free", { bridge: "br1" }],
    ["a bridge without ports, which a killed libvirtd may have left", { bridge: "virbr9" }],
    ["a network that runs, whose bridge it is", { active: true }],
    ["a bridge of the hypervisor that is used", { forward: "bridge" }],
    ["no bridge", { bridge: null, forward: "hostdev" }],
  ])("lets pass: %s", async (_what, change) => {
    await assertBridgeIsFree(hypervisor(), { ...network, ...change });
  });
});
