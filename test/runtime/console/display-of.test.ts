/** Which display of a domain is opened: the first of VNC, the one that is named, or none with a reason. */
import { expect, test } from "vitest";
import { displayOf } from "../../../runtime/console/display.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { answering } from "../../fixtures/fake.ts";

const SPICE = `<graphics type='spice' port='5900' listen='127.0.0.1'/>`;
const VNC = `<graphics type='vnc' port='5901' listen='0.0.0.0'/>`;

function open(devices: string, screen?: number, state = "running", given = "web") {
  const answer = (verb: string) =>
    verb === "domstate"
      ? `${state}\n\n`
      : `<domain><name>web</name><devices>${devices}</devices></domain>`;
  const ctx = { ...answering(answer), host: "local" } as unknown as Context;
  return displayOf(ctx, { name: given, screen });
}

const LISTENS = { name: "web", target: { host: "127.0.0.1", port: 5901 } };

test("the first of VNC, wherever it stands, by loopback where it listens on all addresses", async () => {
  expect(await open(SPICE + VNC)).toEqual(LISTENS);
  expect(await open(VNC + SPICE, 0)).toEqual(LISTENS);
});

test.each([
  ["one of SPICE alone", SPICE, undefined, "unsupported", /screen 0 of domain web is spice; only/],
  ["one of SPICE that is named", VNC + SPICE, 1, "unsupported", /screen 1 of domain web is spice/],
  ["none", "", undefined, "not_found", /domain web has no screen/],
  ["one that is not there", VNC, 3, "not_found", /has 1 screen, the first is 0/],
  ["one without a port", `<graphics type='vnc' port='-1'/>`, 0, "unsupported", /does not listen/],
] as const)("%s", async (_what, devices, screen, code, text) => {
  const refused = { code, message: expect.stringMatching(text) };
  await expect(open(devices, screen)).rejects.toMatchObject(refused);
});

test("a UUID in the place of the name: events have the name", async () => {
  const uuid = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0";
  expect(await open(VNC, 0, "running", uuid)).toEqual(LISTENS);
});

test("a domain that is off", async () => {
  await expect(open(VNC, 0, "shut off")).rejects.toMatchObject({ code: "not_active" });
});
