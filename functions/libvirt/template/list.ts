/** GET /libvirt/template/list: domains that are marked as templates, have "template" in their name, or are off. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { readMark, TemplateMark } from "#runtime/libvirt/clone/template-mark.ts";
import { readDefinitionFiles } from "#runtime/libvirt/definition-files.ts";
import { readHeads } from "#runtime/libvirt/definition-heads.ts";
import { forgetOthers } from "#runtime/libvirt/definition-memory.ts";
import { listDomains } from "#runtime/libvirt/domain/domain.ts";
import { NameOfDomain } from "#runtime/libvirt/names.ts";
import { parseXml } from "#runtime/libvirt/xml.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List templates",
  input: z.strictObject({}),
  output: z.object({
    templates: z.array(
      z.object({
        name: NameOfDomain,
        uuid: z.string(),
        why: z
          .array(z.enum(["marked", "name", "shut off", "unknown"]))
          .describe("unknown: QEMU does not answer, so its mark could not be read"),
        template: TemplateMark.nullable().describe("its mark, if it has one"),
      }),
    ),
    total: z.int(),
  }),
  message: ({ total }) => plural(total, "template"),

  async run(_input, ctx) {
    const [all, off, files] = await Promise.all([
      listDomains(ctx, "--all"),
      listDomains(ctx, "--state-shutoff"),
      readDefinitionFiles(ctx),
    ]);
    const shutOff = new Set(off.map(({ uuid }) => uuid));
    forgetOthers(
      ctx,
      all.map(({ uuid }) => uuid),
    );
    const heads = await readHeads(ctx, all, files);
    const templates = all.flatMap(({ uuid, name }, i) => {
      const read = heads[i];
      const mark =
        read && "text" in read && read.text.includes("<hypersdk:template")
          ? readMark(parseXml(read.text, "domain"))
          : undefined;
      const why = [
        ...(mark ? ["marked" as const] : []),
        ...(/template/i.test(name) ? ["name" as const] : []),
        ...(shutOff.has(uuid) ? ["shut off" as const] : []),
        ...(read instanceof HyperError && read.code !== "not_found" ? ["unknown" as const] : []),
      ];
      return why.length > 0 ? [{ name, uuid, why, template: mark ?? null }] : [];
    });
    return { templates, total: templates.length };
  },
});
