/** GET /config/templates?q=: systems of guests, with what each needs. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { readSystems, System } from "#runtime/libvirt/import/systems.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List systems of guests, with the memory, vCPUs and disk that each needs",
  input: z.strictObject({
    q: z.string().max(100).optional().describe("a part of the name, such as debian or win11"),
    limit: z.int().min(1).max(10_000).default(100).describe("systems at most"),
  }),
  output: z.object({
    templates: z.array(System),
    total: z.int().describe("all that are found"),
  }),
  message: ({ total }) => `${total} ${total === 1 ? "system" : "systems"}`,
  examples: [{ q: "debian" }],

  async run({ q = "", limit }, ctx) {
    const word = q.toLowerCase();
    const found = (await readSystems(ctx)).filter(({ id, title }) =>
      `${id}\n${title}`.toLowerCase().includes(word),
    );
    return { templates: found.slice(0, limit), total: found.length };
  },
});
