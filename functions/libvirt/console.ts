/** GET /libvirt/console?name=: where a running domain's screens and serial consoles are. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { reasonsFor } from "#runtime/libvirt/definitions.ts";
import {
  Graphics,
  readGraphics,
  readTextConsoles,
  TextConsole,
} from "#runtime/libvirt/domain/console.ts";
import { readRunning } from "#runtime/libvirt/domain/running.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show where a domain's consoles are",
  input: z.strictObject({ name: DomainName }),
  output: z.object({
    name: z.string(),
    graphics: z.array(Graphics),
    consoles: z.array(TextConsole),
    reasons: z
      .record(z.string(), z.string())
      .describe("why a list is empty or old while QEMU does not answer, by field"),
    command: z.string().describe("opens the text console from a shell"),
  }),
  message: ({ name, graphics, consoles }) =>
    `Domain ${name} has ${graphics.length} screens and ${consoles.length} consoles`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    const { ref, domain, stuck } = await readRunning(ctx, name);
    return {
      name,
      graphics: readGraphics(domain),
      consoles: readTextConsoles(domain),
      reasons: reasonsFor(["graphics", "consoles"], stuck),
      command: `virsh -c ${quoted(ctx.uri)} console --domain ${quoted(ref)}`,
    };
  },
});

/** One word of a shell command. */
function quoted(text: string): string {
  return /^[\w.:/+@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
