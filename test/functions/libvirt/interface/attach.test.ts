/** POST /libvirt/interface/attach: to what runs, to what is stored, or to both. */
import { describe, expect, test } from "vitest";
import attach from "../../../../functions/libvirt/interface/attach.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

const having = (state: string, persistent: string, fails: Record<string, HyperError> = {}) =>
  answering((verb) => {
    if (verb === "dominfo") return `State: ${state}\nPersistent: ${persistent}\n`;
    if (verb === "list") return "11111111-1111-4111-8111-111111111111 7\n";
    return fails[verb] ?? "";
  });

describe("attach", () => {
  test.each([
    ["running", "yes", ["--live", "--config"]],
    ["paused", "no", ["--live"]],
    ["shut off", "yes", ["--config"]],
  ])("a domain that is %s (persistent: %s): %j", async (state, persistent, options) => {
    const fake = having(state, persistent);
    const answer = await attach({ vm_name: "my  'vm'", network: "lan '1'" }, fake);
    expect(answer).toEqual({
      vm_name: "my  'vm'",
      network: "lan '1'",
      model: "virtio",
      mac: expect.stringMatching(/^52:54:00(:[0-9a-f]{2}){3}$/),
      live: options.includes("--live"),
      persistent: persistent === "yes",
    });
    const device = `<interface type="network"><mac address="${answer.mac}"/><source network="lan &apos;1&apos;"/><model type="virtio"/></interface>`;
    const command = ["attach-device", "--domain", "my  'vm'", "--file", device];
    expect(fake.calls.at(-1)).toEqual([...command, ...options]);
  });

  test("each has a MAC of its own", async () => {
    const macs = Array.from({ length: 50 }, async () => {
      return (await attach({ vm_name: "vm", network: "lan" }, having("running", "yes"))).mac;
    });
    expect(new Set(await Promise.all(macs)).size).toBe(50);
  });

  test("a domain whose name is a number is meant by its UUID", async () => {
    const fake = having("running", "yes");
    await attach({ vm_name: "7", network: "lan", model: "e1000e" }, fake);
    for (const words of fake.calls.filter((call) => call.includes("--domain"))) {
      expect(words[2]).toBe("11111111-1111-4111-8111-111111111111");
    }
  });

  test("nothing is attached to a network that does not exist", async () => {
    const fails = { "net-info": new HyperError("not_found", "Network not found: x") };
    const fake = having("running", "yes", fails);
    await expect(attach({ vm_name: "vm", network: "x" }, fake)).rejects.toMatchObject({
      code: "not_found",
    });
    expect(fake.verbs()).not.toContain("attach-device");
  });

  test("a model that QEMU does not know is refused", async () => {
    const input = { vm_name: "vm", network: "lan", model: "virtoi" as "virtio" };
    await expect(attach(input, having("running", "yes"))).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(/^model: .*virtio/),
    });
  });
});
