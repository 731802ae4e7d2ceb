/** GET /docs: a page to read and try this API. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { docsPage } from "#runtime/web/docs.ts";

let made: string | undefined;

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show a page to read and try this API",
  scope: "server",
  input: z.strictObject({}),
  output: z.string(),
  message: null,
  media: "text/html; charset=utf-8",

  async run() {
    made ??= await docsPage("HyperSDK Functions");
    return made;
  },
});
