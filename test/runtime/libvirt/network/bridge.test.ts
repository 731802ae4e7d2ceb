/** Whether a network may make its bridge. */
import { describe, expect, test } from "vitest";
import { assertBridgeIsFree } from "../../../../runtime/libvirt/network/bridge.ts";

/** A hypervisor that has the interface br0. */
function hypervisor(uri = "qemu:///system") {
  const asked: string[][] = [];
  const exec = async (argv: string[]) => {
    asked.push(argv);
    const there = argv.at(-1) === "/sys/class/net/br0";
    const stderr = there ? "" : `ls: cannot access '${argv.at(-1)}': No such file or directory\n`;
    return { stdout: "", stderr, exitCode: there ? 0 : 2 };
  };
  return { uri, exec, asked };
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
      expect(ctx.asked).toEqual([["ls", "-dL", "--", "/sys/class/net/br0"]]);
    },
  );

  test.each<[string, Partial<Parameters<typeof assertBridgeIsFree>[1]>, string?]>([
    ["a name that is free", { bridge: "br1" }],
    ["a network that runs, whose bridge it is", { active: true }],
    ["a bridge of the hypervisor that is used", { forward: "bridge" }],
    ["no bridge", { bridge: null, forward: "hostdev" }],
    ["libvirt's test driver, which makes none", {}, "test:///default"],
  ])("lets pass: %s", async (_what, change, uri) => {
    await assertBridgeIsFree(hypervisor(uri), { ...network, ...change });
  });
});
