/** POST /workflow/convert: inspect, convert, import, start and verify a virtual machine of another system, as a job. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { Submitted, submitSelf, submitted } from "#runtime/function/own-job.ts";
import { runWorkflow, WorkflowResult } from "#runtime/libvirt/import/workflow.ts";
import { WORKFLOW } from "#runtime/libvirt/import/workflow-input.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Move a virtual machine in: inspect, convert, import, start and verify it, as a job",
  job: { repeat: true },
  status: 202,
  headers: ({ location }): Record<string, string> => ({ Location: location }),
  input: z.strictObject(WORKFLOW),
  output: Submitted.extend({
    workflow_id: z.string().optional().describe("the same as id"),
    ...WorkflowResult.partial().shape,
  }),
  message: ({ message = "" }) => message,
  examples: [{ vmdk_path: "/data/old.ova", vm_name: "old-1", os_type: "linux" }],

  async run(input, ctx) {
    if (!ctx.job) {
      const { id } = await submitSelf(ctx, "/workflow/convert", input);
      return { workflow_id: id, ...submitted(id, "queued", `Workflow ${id} was submitted`) };
    }
    const { id } = ctx.job;
    const result = await runWorkflow(ctx, input);
    const message = `Domain ${result.domain.name} made from ${input.vmdk_path}`;
    return { workflow_id: id, ...submitted(id, "completed", message), ...result };
  },
});
