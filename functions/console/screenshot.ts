/** GET /console/screenshot?name=: a picture of a running domain's screen. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { readDefinition } from "#runtime/libvirt/definitions.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { screenshot } from "#runtime/libvirt/domain/screenshot.ts";
import { DomainName } from "#runtime/libvirt/names.ts";
import { children, parseXml } from "#runtime/libvirt/xml.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show a picture of a domain's screen",
  input: z.strictObject({
    name: DomainName,
    screen: z.int().min(0).max(15).default(0).describe("of a domain with several screens"),
  }),
  output: z.instanceof(Uint8Array),
  message: null,
  media: "image/png",
  examples: [{ name: "my-vm" }],

  async run({ name, screen }, ctx) {
    const ref = await domainRef(ctx, name);
    try {
      return await screenshot(ctx, ref, screen);
    } catch (error) {
      if (screen === 0) throw error;
      const { text } = await readDefinition(ctx, ref);
      const { length } = children(parseXml(text, "domain"), "devices", "video");
      if (screen < length) throw error;
      const has = length === 0 ? "no screen" : `${plural(length, "screen")}, the first is 0`;
      throw new HyperError("not_found", `screen: domain ${name} has ${has}`, { cause: error });
    }
  },
});
