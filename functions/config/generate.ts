/** POST /config/generate: what moving a virtual machine in would do, as data; nothing is done. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { Recipe, writeRecipe } from "#runtime/libvirt/import/recipe.ts";
import { WORKFLOW } from "#runtime/libvirt/import/workflow-input.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Tell what moving a virtual machine in would do, and do nothing",
  input: z.strictObject(WORKFLOW),
  output: Recipe,
  message: ({ source, steps }) => `${source.path} would take ${steps.length} steps`,
  examples: [{ vmdk_path: "/data/web.ova", vm_name: "web-1" }],

  run: (input, ctx) => writeRecipe(ctx, input),
});
