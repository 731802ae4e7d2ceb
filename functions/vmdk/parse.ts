/** GET /vmdk/parse?path=: what an image, OVA, OVF or VMX is, and whether an import would take it. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { Description, describeSource } from "#runtime/libvirt/import/describe.ts";
import { Path } from "#runtime/libvirt/storage/import-image.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Describe an image, OVA, OVF or VMX, and judge it as an import does",
  input: z.strictObject({
    path: Path.describe("a file in an allowed folder of the hypervisor"),
  }),
  output: Description,
  message: ({ path, accepted, reason }) =>
    accepted ? `${path} can be imported` : `An import would refuse it: ${reason}`,
  examples: [{ path: "/data/web.ova" }],

  run: ({ path }, ctx) => describeSource(ctx, "path", path),
});
