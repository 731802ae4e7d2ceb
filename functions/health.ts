/** GET /health: the process is up. Asks no hypervisor. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Tell that the process is up",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({ uptime_seconds: z.number() }),
  message: "The process is up",
  async run() {
    return { uptime_seconds: Math.round(process.uptime()) };
  },
});
