/** GET /ui: the page of the whole fleet, also at /. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { pageHeaders, pageHtml } from "#runtime/ui/page.ts";

export default defineFunction({
  method: "GET",
  alias: "/",
  access: "read",
  anybody: true,
  summary: "Show the page of the whole fleet",
  scope: "server",
  input: z.strictObject({}),
  output: z.string(),
  message: null,
  media: "text/html; charset=utf-8",
  headers: () => pageHeaders,

  run: () => pageHtml(),
});
