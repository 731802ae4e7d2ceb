/** What is described of every function that changes something: it can be a job, and be done once for a key. */
import * as z from "zod";
import { movesBytes } from "../core/bytes.ts";
import { methodsOf } from "../core/method.ts";
import type { Spec } from "../function/define.ts";
import { type JsonSchema, jsonSchema } from "./openapi-schema.ts";

const JOB_PARAMETERS = {
  Prefer: {
    name: "Prefer",
    in: "header",
    description: "`respond-async`: the call becomes a job, and 202 says where to look for it",
    schema: { type: "string" },
  },
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    description:
      "for 24 hours, the same call with the same key is answered as the first one was, and not done again",
    schema: { type: "string", minLength: 1, maxLength: 255 },
  },
};

const reference = (name: keyof typeof JOB_PARAMETERS) => ({
  $ref: `#/components/parameters/${name}`,
});

const canBeJob = (spec: Spec) => isKeyed(spec) && spec.scope !== "server";

/** Whether a call with an `Idempotency-Key` is carried out once. */
export const isKeyed = (spec: Spec) =>
  spec.access !== "read" && !movesBytes(spec) && `${methodsOf(spec)}` !== "GET";

export const jobParameters = (spec: Spec) => [
  ...(canBeJob(spec) ? [reference("Prefer")] : []),
  ...(isKeyed(spec) ? [reference("IdempotencyKey")] : []),
];

/** Those that some function has, for the components. */
export function usedParameters(specs: Spec[]) {
  const used = new Set(specs.flatMap(jobParameters).map(({ $ref }) => $ref));
  return Object.fromEntries(
    Object.entries(JOB_PARAMETERS).filter(([name]) =>
      used.has(reference(name as keyof typeof JOB_PARAMETERS).$ref),
    ),
  );
}

const Submitted = z.object({
  status: z.literal("success"),
  message: z.string().describe("for people"),
  data: z.object({
    id: z.string().describe("the job's"),
    state: z.string(),
    location: z.string().describe("`GET` it to see the job"),
  }),
  timestamp: z.iso.datetime(),
});

/** The answer with `Prefer: respond-async`; `own` is the one that a function always gives with 202. */
export function jobResponse(spec: Spec, shared: Record<string, JsonSchema>, own?: JsonSchema) {
  if (!canBeJob(spec)) return {};
  const submitted = jsonSchema(Submitted, "output", shared);
  const schema = own ? { anyOf: [own, submitted] } : submitted;
  const preferred = "with `Prefer: respond-async`: the job was submitted";
  const description = own ? `${spec.summary}; or, ${preferred}` : preferred;
  return { 202: { description, content: { "application/json": { schema } } } };
}
