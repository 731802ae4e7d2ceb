/** Which domain a name means, and where a change to it must go. */
import { describe, expect, test } from "vitest";
import { affectFlags, domainRef, domainState } from "../../../../runtime/libvirt/domain/domain.ts";
import { answering } from "../../../fixtures/fake.ts";

describe("domainRef", () => {
  /** As virsh prints `list --all --uuid --name`. */
  const LIST = `11111111-1111-4111-8111-111111111111  60
22222222-2222-4222-8222-222222222222 60
33333333-3333-4333-8333-333333333333 007
44444444-4444-4444-8444-444444444444 a  b
55555555-5555-4555-8555-555555555555 +8

`;
  test.each([
    ["60", "22222222-2222-4222-8222-222222222222"],
    [" 60", "11111111-1111-4111-8111-111111111111"],
    ["007", "33333333-3333-4333-8333-333333333333"],
    ["+8", "55555555-5555-4555-8555-555555555555"],
  ])("%j, which virsh would take for an ID, is looked up", async (name, uuid) => {
    expect(
      await domainRef(
        answering(() => LIST),
        name,
      ),
    ).toBe(uuid);
  });

  test.each(["my-vm", "a  b", "60 ", "60a", "x60", "6.0", "it's", "0x10", "ü"])(
    "%j stands for itself, without a round trip",
    async (name) => {
      const fake = answering(() => LIST);
      expect(await domainRef(fake, name)).toBe(name);
      expect(fake.calls).toEqual([]);
    },
  );

  test.each(["7", "8", "0"])("there is none of the name %j", async (name) => {
    await expect(
      domainRef(
        answering(() => LIST),
        name,
      ),
    ).rejects.toMatchObject({
      code: "not_found",
      message: `Domain not found: no domain with matching name '${name}'`,
    });
  });
});

test.each([
  ["running", "yes", ["--live", "--config"]],
  ["running", "no", ["--live"]],
  ["paused", "yes", ["--live", "--config"]],
  ["in shutdown", "no", ["--live"]],
  ["pmsuspended", "yes", ["--live", "--config"]],
  ["shut off", "yes", ["--config"]],
  ["crashed", "yes", ["--config"]],
])("a change to a domain that is %s (persistent: %s) goes to %j", (state, persistent, options) => {
  const info = `Id:             -\nName:           State: x\nState:          ${state}\nPersistent:     ${persistent}\n`;
  expect(affectFlags(domainState(info))).toEqual(options);
});
