/** GET /metrics: for Prometheus, of this server and of the domains, under the names of libvirt's exporters. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { MEDIA, metricsText } from "#runtime/metrics/early.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show metrics for Prometheus",
  scope: "fleet",
  input: z.strictObject({}),
  output: z.string(),
  message: null,
  media: MEDIA,

  run(_input, ctx) {
    return metricsText(ctx);
  },
});
