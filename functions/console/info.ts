/** GET /console/info?name=: which screens and serial consoles a domain has, and where they open here. */
import * as z from "zod";
import { displays, isInteractive, SerialDevice, serialDevices } from "#runtime/console/devices.ts";
import { consolePath } from "#runtime/console/paths.ts";
import { probe } from "#runtime/console/probe.ts";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { readKnown, reasonsFor } from "#runtime/libvirt/definitions.ts";
import { Graphics, readGraphics } from "#runtime/libvirt/domain/console.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

const path = z.string().nullable();
const Opens = z.object({
  reachable: z.boolean().describe("whether it can be opened here now"),
  reason: z.string().nullable().describe("why it cannot"),
  page: path.describe("path of the page; a WebSocket to it is the console itself"),
});

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show which consoles a domain has and where they open",
  input: z.strictObject({ name: DomainName }),
  output: z.object({
    name: z.string(),
    state: z.string(),
    screens: z.array(Graphics.extend(Opens.shape)),
    serials: z.array(SerialDevice.extend(Opens.shape)),
    screenshot: path.describe("path of the picture of the first screen"),
    reasons: z.record(z.string(), z.string()).describe("why a list is old or empty, by field"),
  }),
  message: ({ name, screens, serials }) =>
    `Domain ${name} has ${plural(screens.length, "screen")} and ${plural(serials.length, "serial console")}`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    const ref = await domainRef(ctx, name);
    const [domstate, { domain, stuck }] = await Promise.all([
      ctx.virsh(["domstate", "--domain", ref]),
      readKnown(ctx, ref),
    ]);
    const state = domstate.trim();
    const host = ctx.requestedHosts === undefined ? undefined : { host: ctx.host };
    const off = state === "shut off" ? "the domain is not running" : null;
    const opens = (kind: "vnc" | "serial", reason: string | null, more = {}) => ({
      reachable: reason === null,
      reason,
      page: reason === null ? consolePath(kind, name, { ...more, ...host }) : null,
    });
    const graphics = readGraphics(domain);
    const screens = displays(domain).map(async (display, i) => {
      const reason = off ?? (await probe(ctx, display));
      return { ...graphics[i], ...opens("vnc", reason, i > 0 && { screen: `${i}` }) };
    });
    const serials = serialDevices(domain).map((one, i) => {
      const wrong = isInteractive(one) ? null : `type ${one.type} cannot be opened`;
      return { ...one, ...opens("serial", off ?? wrong, i > 0 && { device: one.device }) };
    });
    const shot = off === null && graphics.length > 0;
    return {
      ...{ name, state, serials, screens: (await Promise.all(screens)) as never },
      screenshot: shot ? consolePath("screenshot", name, host) : null,
      reasons: reasonsFor(["screens", "serials"], stuck),
    };
  },
});
