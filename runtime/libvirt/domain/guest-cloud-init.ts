/** What the guest's cloud-init has come to, by the files that every version of it writes. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { runInGuest } from "./guest-signs.ts";

export const CloudInitResult = z.object({
  datasource: z.string().nullable().describe("where it found its data"),
  errors: z.array(z.string()),
});

export type CloudInitResult = z.output<typeof CloudInitResult>;

/** Prints the result, or a word. */
const LOOK = `cd /run/cloud-init 2>/dev/null
if [ -e result.json ]; then cat result.json
elif [ -e disabled ]; then echo disabled
elif command -v cloud-init >/dev/null; then echo running
else echo missing; fi`;

const Result = z.object({
  v1: z.object({ datasource: z.string().nullish(), errors: z.array(z.string()).default([]) }),
});

/** The result, or what it is doing. Throws `unsupported` where it will never have one. */
export async function readCloudInit(
  ctx: Context,
  domain: string,
): Promise<CloudInitResult | { silent: string }> {
  const answer = await runInGuest(ctx, domain, ["/bin/sh", "-c", LOOK]);
  if ("silent" in answer) {
    // the agent's own words: RHEL's does not run programs unless it is told to; one that has started anew in between
    // does not know a program's status
    if (!/guest-exec(?!-status)|has been disabled|not allowed/i.test(answer.silent)) return answer;
    throw never(`the guest's agent runs no programs: ${answer.silent}`);
  }
  const word = answer.stdout.trim();
  if (word === "missing") throw never("the guest has no cloud-init");
  if (word === "disabled")
    throw never("cloud-init is disabled in the guest, as where it finds no seed");
  const result = Result.safeParse(parseJson(word));
  if (!result.success) return { silent: "cloud-init is at work" };
  const { datasource, errors } = result.data.v1;
  return { datasource: datasource ?? null, errors };
}

/** Undefined for a text that is no JSON, such as a file that is being written. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const never = (why: string) => new HyperError("unsupported", `wait: ${why}`);
