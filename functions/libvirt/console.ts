/** GET /libvirt/console?name=: where a running domain's screens and serial consoles are. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";
import { attribute, children, parseXml } from "#runtime/libvirt/xml.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show where a domain's consoles are",
  input: z.strictObject({ name: DomainName }),
  output: z.object({
    name: z.string(),
    graphics: z.array(
      z.object({
        type: z.string().describe("vnc, spice …"),
        listen: z.string().nullable().describe("address on the hypervisor"),
        port: z.int().nullable(),
        tls_port: z.int().nullable(),
        websocket: z.int().nullable(),
        socket: z.string().nullable(),
      }),
    ),
    consoles: z.array(
      z.object({
        type: z.string().describe("pty, unix, tcp …"),
        target: z.string().nullable().describe("serial, virtio …"),
        path: z.string().nullable().describe("device or socket on the hypervisor"),
      }),
    ),
    command: z.string().describe("opens the text console from a shell"),
  }),
  message: ({ name, graphics, consoles }) =>
    `Domain ${name} has ${graphics.length} screens and ${consoles.length} consoles`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    const ref = await domainRef(ctx, name);
    const [state = "", text = ""] = await ctx.virsh.all([
      ["domstate", "--domain", ref],
      ["dumpxml", "--domain", ref],
    ]);
    if (state.trim() === "shut off")
      throw new HyperError("not_active", `domain ${name} is not running`);
    const domain = parseXml(text, "domain");
    const port = (value: unknown) => (Number(value) > 0 ? Number(value) : null);
    return {
      name,
      graphics: children(domain, "devices", "graphics").map((one) => ({
        type: `${one["@type"]}`,
        listen:
          (one["@listen"] as string | undefined) ?? attribute(one, "address", "listen") ?? null,
        port: port(one["@port"]),
        tls_port: port(one["@tlsPort"]),
        websocket: port(one["@websocket"]),
        socket:
          (one["@socket"] as string | undefined) ?? attribute(one, "socket", "listen") ?? null,
      })),
      consoles: children(domain, "devices", "console").map((one) => ({
        type: `${one["@type"]}`,
        target: attribute(one, "type", "target") ?? null,
        path: attribute(one, "path", "source") ?? null,
      })),
      command: `virsh -c ${word(ctx.uri)} console --domain ${word(ref)}`,
    };
  },
});

/** One word of a shell's. */
function word(text: string): string {
  return /^[\w.:/+@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
