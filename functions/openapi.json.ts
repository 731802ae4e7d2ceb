/** GET /openapi.json: this API's description, OpenAPI 3.1. */
import * as z from "zod";
import { describeApi } from "#runtime/api/openapi.ts";
import { version } from "#runtime/core/version.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { loadFunctions } from "#runtime/function/load.ts";

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
