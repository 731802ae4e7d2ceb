/** POST /ui/session: sign in at the page with a token, in the place of which the browser keeps a cookie. */
import * as z from "zod";
import { SESSION_SECONDS } from "#runtime/access/sessions.ts";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";

export default defineFunction({
  method: "POST",
  access: "read",
  anybody: true,
  summary: "Sign in at the page with a token",
  scope: "server",
  status: 201,
  input: z.strictObject({
    token: z.string().min(1).max(1000).describe("as `hypersdk token create` has shown it"),
  }),
  output: z.object({
    name: z.string().describe("the token's name"),
    expires: z.iso.datetime().describe("the session ends then, or before with its token"),
  }),
  message: ({ name }) => `Signed in with token ${name}`,

  examples: [{ token: "hsk_…" }],

  async run({ token }, { session }) {
    if (!session)
      throw new HyperError("unsupported", "a browser signs in; a program sends its token");
    const ends = Date.now() + SESSION_SECONDS * 1000;
    const { name, expires } = await session.begin(token.trim());
    const last = Math.min(ends, expires === null ? ends : Date.parse(expires));
    return { name, expires: new Date(last).toISOString() };
  },
});
