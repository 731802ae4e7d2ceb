/** POST /libvirt/template/export: write a template's definition and disks to a folder, with a manifest. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { exportDomain } from "#runtime/libvirt/clone/export.ts";
import { DomainName } from "#runtime/libvirt/names.ts";
import { Path } from "#runtime/libvirt/storage/import-image.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Export a template to files",
  job: { repeat: true, reads: ["template"] },
  input: z.strictObject({
    template: DomainName,
    export_path: Path.describe(
      "a folder of the hypervisor, in an allowed one; the template gets a folder in it",
    ),
    compress: z.boolean().default(false).describe("disks as compressed qcow2"),
  }),
  output: z.object({
    template: z.string(),
    path: z.string(),
    files: z.array(z.object({ name: z.string(), size: z.number(), sha256: z.string() })),
  }),
  message: ({ template, path }) => `Template ${template} exported to ${path}`,
  examples: [{ template: "ubuntu-22-template", export_path: "/backups/templates", compress: true }],

  async run({ template, export_path, compress }, ctx) {
    return exportDomain(ctx, template, export_path, compress);
  },
});
