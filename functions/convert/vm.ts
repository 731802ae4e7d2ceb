/** POST /convert/vm: convert a virtual machine of another system, to files or to a domain, as a job. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { Submitted, submitSelf, submitted } from "#runtime/function/own-job.ts";
import { ConvertedFile, convertSource } from "#runtime/libvirt/import/convert.ts";
import { Imported, importMachine } from "#runtime/libvirt/import/import.ts";
import { OF_DOMAIN } from "#runtime/libvirt/import/wish.ts";
import { Path } from "#runtime/libvirt/storage/import-image.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Convert a virtual machine of another system, as a job",
  job: { repeat: true },
  status: 202,
  headers: ({ location }): Record<string, string> => ({ Location: location }),
  input: z
    .strictObject({
      source_path: Path.describe(
        "an OVA, an OVF or VMX beside its disks, or an image, in an allowed folder of the hypervisor",
      ),
      dest_path: Path.optional().describe(
        "the file to be made; further disks lie beside it, numbered",
      ),
      output_path: Path.optional().describe("the same as dest_path"),
      compression: z.boolean().default(false).describe("of the files; qcow2 and vmdk have it"),
      convert_only: z.boolean().default(false).describe("make files, and never a domain"),
      import_to_kvm: z.boolean().default(false).describe("make a domain in place of files"),
      vcenter_creds: z.unknown().optional().describe("not supported: export the machine as an OVA"),
      ...OF_DOMAIN,
      format: z
        .enum(["qcow2", "raw", "vmdk", "vdi", "vhdx"])
        .default("qcow2")
        .describe("of the files; the volumes of a domain are qcow2 or raw"),
    })
    .refine(({ dest_path, output_path }) => dest_path === undefined || output_path === undefined, {
      path: ["output_path"],
      error: "is another word for dest_path; give one of them",
    })
    .refine((one) => one.import_to_kvm !== ((one.dest_path ?? one.output_path) !== undefined), {
      path: ["dest_path"],
      error: "needed for files, and only for files: either dest_path or import_to_kvm: true",
    })
    .refine(({ convert_only, import_to_kvm }) => !(convert_only && import_to_kvm), {
      path: ["convert_only"],
      error: "cannot go with import_to_kvm",
    })
    .refine(({ import_to_kvm, format }) => !import_to_kvm || /^(qcow2|raw)$/.test(format), {
      path: ["format"],
      error: "must be qcow2 or raw for a domain",
    })
    .refine(({ import_to_kvm, compression }) => !(import_to_kvm && compression), {
      path: ["compression"],
      error: "only for files: a domain writes to its disks, which are not compressed then",
    }),
  output: Submitted.extend({
    conversion_id: z.string().optional().describe("the same as id"),
    files: z.array(ConvertedFile).optional().describe("of the job: what it has made"),
    domain: Imported.optional().describe("of the job: what it has made"),
  }),
  message: ({ message = "" }) => message,
  examples: [
    { source_path: "/data/old.ova", dest_path: "/data/old.qcow2", compression: true },
    { source_path: "/data/old.ova", import_to_kvm: true, vm_name: "old-1" },
  ],

  async run(input, ctx) {
    const { source_path: path, dest_path, output_path, compression, format } = input;
    if (input.vcenter_creds !== undefined) {
      const text =
        "vcenter_creds: this server does not log in to a vCenter; export the machine as an OVA there, and give its path";
      throw new HyperError("unsupported", text);
    }
    if (!ctx.job) {
      const { id } = await submitSelf(ctx, "/convert/vm", input);
      return { conversion_id: id, ...submitted(id, "queued", `Conversion ${id} was submitted`) };
    }
    const { id } = ctx.job;
    const done = (message: string) => ({
      conversion_id: id,
      ...submitted(id, "completed", message),
    });
    if (input.import_to_kvm) {
      const wish = { ...input, format: format as "qcow2" | "raw" };
      const domain = await importMachine(ctx, { field: "source_path", path }, wish);
      return { ...done(`Domain ${domain.name} made from ${path}`), domain };
    }
    const dest = `${dest_path ?? output_path}`;
    const conversion = { path, dest, format, compress: compression, expected: input.source_format };
    const files = await convertSource(ctx, conversion);
    return { ...done(`${files.map((file) => file.path).join(", ")} made from ${path}`), files };
  },
});
