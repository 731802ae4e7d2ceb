/** GET /openapi.json: this API's description, OpenAPI 3.1. */
import * as z from "zod";
import { defineFunction } from "../runtime/function.ts";
import { loadFunctions } from "../runtime/functions.ts";
import { describeApi } from "../runtime/openapi.ts";
import { version } from "../runtime/version.ts";

/** The functions of a process stay as they are, so it is made once. */
let made: ReturnType<typeof describeApi> | undefined;

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Describe this API in OpenAPI 3.1",
  scope: "server",
  input: z.strictObject({}),
  output: z.looseObject({
    openapi: z.string(),
    info: z.looseObject({ title: z.string(), version: z.string() }),
  }),
  message: null,

  async run() {
    made ??= describeApi(await loadFunctions(), version);
    return made;
  },
});
