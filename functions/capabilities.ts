/** GET /capabilities: the functions of this server, and what the chosen hypervisor can do. */
import * as z from "zod";
import { version } from "#runtime/core/version.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { loadFunctions } from "#runtime/function/load.ts";
import { Reached, reach } from "#runtime/libvirt/host.ts";
import { lines } from "#runtime/libvirt/virsh-output.ts";

/** Programs that some functions call on the hypervisor. */
const TOOLS = ["virsh", "qemu-img", "scrub", "virt-sysprep", "virt-customize"];

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the functions of this server and the tools of a hypervisor",
  input: z.strictObject({}),
  output: z.object({
    version: z.string(),
    functions: z.array(
      z.object({
        path: z.string(),
        method: z.string().nullable(),
        summary: z.string().nullable(),
        loaded: z.boolean(),
      }),
    ),
    hypervisor: Reached.extend({ tools: z.record(z.string(), z.boolean()) }),
  }),
  message: ({ functions }) => `${functions.filter(({ loaded }) => loaded).length} functions`,

  async run(_input, ctx) {
    const [loaded, reached, found] = await Promise.all([
      loadFunctions(),
      reach(ctx),
      ctx.exec([
        "sh",
        "-c",
        'for tool; do command -v "$tool" >/dev/null && echo "$tool"; done',
        "sh",
        ...TOOLS,
      ]),
    ]);
    const present = lines(found.stdout);
    return {
      version,
      functions: loaded.map(({ path, function: one }) => ({
        path,
        method: one?.spec.method ?? null,
        summary: one?.spec.summary ?? null,
        loaded: one !== undefined,
      })),
      hypervisor: {
        ...reached,
        tools: Object.fromEntries(TOOLS.map((tool) => [tool, present.includes(tool)])),
      },
    };
  },
});
