/** GET /whoami: who the caller is to this server, and what they may do. */
import * as z from "zod";
import { ACCESS, mayCall } from "#runtime/access/caller.ts";
import { whyNot } from "#runtime/access/domain-scope.ts";
import { isInSession } from "#runtime/access/sessions.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { loadFunctions } from "#runtime/function/load.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show who the caller is and what they may do",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({
    kind: z
      .enum(["token", "user", "socket", "process"])
      .describe("a token, a user of this machine, the Unix socket, code of the server's process"),
    name: z.string(),
    access: z.enum(ACCESS).nullable().describe("null for a token that lists functions"),
    functions: z.array(z.string()).describe("paths that they may call"),
    hosts: z.array(z.string()).describe("hypervisors that they may use"),
    domains: z
      .array(z.string())
      .nullable()
      .describe("patterns of domain names; null for all, none where `select` tells them"),
    select: z.string().nullable().describe("the query that selects their domains when they act"),
    expires: z.string().nullable().describe("null for never"),
    session: z.boolean().describe("signed in at the page"),
  }),
  message: ({ kind, name, functions }) => `${kind} ${name} may call ${functions.length} functions`,

  async run(_input, { caller, hosts }) {
    const loaded = await loadFunctions();
    const functions = loaded.flatMap(({ path, function: one }) =>
      one &&
      (one.spec.anybody || mayCall(caller, path, one.spec.access)) &&
      whyNot(caller, one.spec) === undefined
        ? [path]
        : [],
    );
    const { kind, name, role, domains, select = null, expires } = caller;
    const session = isInSession(caller);
    return { kind, name, access: role, functions, hosts, domains, select, expires, session };
  },
});
