/** GET /capabilities: the functions of this server, and the versions and tools of a hypervisor. */
import * as z from "zod";
import { methodText } from "#runtime/core/method.ts";
import { version } from "#runtime/core/version.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { loadFunctions } from "#runtime/function/load.ts";
import { findPrograms, Reached, reach } from "#runtime/libvirt/host.ts";

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
    const [functions, hypervisor, programs] = await Promise.all([
      loadFunctions(),
      reach(ctx),
      findPrograms(ctx, TOOLS),
    ]);
    return {
      version,
      functions: functions.map(({ path, function: loaded }) => ({
        path,
        method: loaded ? methodText(loaded.spec) : null,
        summary: loaded?.spec.summary ?? null,
        loaded: loaded !== undefined,
      })),
      hypervisor: {
        ...hypervisor,
        tools: Object.fromEntries(TOOLS.map((tool) => [tool, programs.has(tool)])),
      },
    };
  },
});
