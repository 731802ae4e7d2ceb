/** `hypersdk call … --async`: the call becomes a job, whose ID is printed. */
import type { JobHandle } from "../client/types.ts";
import { movesBytes } from "../core/bytes.ts";
import type { Spec } from "../function/define.ts";
import { print } from "./output.ts";
import { UsageError } from "./report.ts";
import type { AnyCall } from "./target.ts";

interface Options {
  server?: string;
  idempotencyKey?: string;
  json?: boolean;
}

/** Throws for a function that is none of those that can be jobs. */
export function checkJob(name: string, spec: Spec) {
  const { access, scope } = spec;
  if (movesBytes(spec)) throw new UsageError(`--async: ${name} moves bytes, so it is no job`);
  if (access === "read") throw new UsageError(`--async: ${name} only reads, so it is no job`);
  if (scope === "server") throw new UsageError(`--async: ${name} is about the server itself`);
}

export async function submit(
  call: AnyCall,
  endpoint: string,
  input: object,
  { server, idempotencyKey, json = !process.stdout.isTTY }: Options,
) {
  const { id } = (await call(endpoint, input, { wait: false, idempotencyKey })) as JobHandle;
  if (json) print({ id }, { json });
  else console.log(id);
  const { hasWorkers } = await import("../jobs/boss.ts");
  const said =
    server || (await hasWorkers())
      ? process.stdout.isTTY && `hypersdk job ${id} follows it`
      : "no worker is there; the job begins once hypersdk serve or hypersdk worker runs";
  if (said) process.stderr.write(`hypersdk: ${said}\n`);
}
