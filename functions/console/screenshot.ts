/** GET /console/screenshot?name=: a picture of a running domain's screen. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { screenshot } from "#runtime/libvirt/domain/screenshot.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

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
    return screenshot(ctx, await domainRef(ctx, name), screen);
  },
});
