/** POST /ui/sign-out: end the session of the browser, with its consoles and streams. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";

export default defineFunction({
  method: "POST",
  access: "read",
  anybody: true,
  summary: "Sign out at the page",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({}),
  message: "Signed out",
  examples: [{}],

  async run(_input, { session }) {
    session?.end();
    return {};
  },
});
