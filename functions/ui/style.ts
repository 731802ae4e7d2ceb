/** GET /ui/style: the page's own style. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { partHeaders, partOf } from "#runtime/ui/page.ts";
import { Version } from "#runtime/ui/version.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  anybody: true,
  summary: "Get the style of the page",
  scope: "server",
  input: z.strictObject({ v: Version }),
  output: z.string(),
  message: null,
  media: "text/css; charset=utf-8",
  headers: (_text, { v }) => partHeaders("style", v),
  examples: [{ v: "0123456789abcdef" }],

  run: () => partOf("style"),
});
