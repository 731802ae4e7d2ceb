/** One scrape of one hypervisor, with a deadline that cancels its commands. */
import pLimit, { type LimitFunction } from "p-limit";
import type { Context, Virsh } from "../hypervisor/context.ts";
import { type DefinitionFiles, readDefinitionFiles } from "../libvirt/definition-files.ts";

export interface Scrape {
  /** Its commands are cancelled when the scrape ends. */
  ctx: Context;
  /** Undefined if the work takes longer than the scrape has time. */
  inTime<T>(work: Promise<T>): Promise<T | undefined>;
  /** For hundreds of commands, so that those of other callers get their turn. */
  limit: LimitFunction;
  /** Listed once, for all domains. */
  definitionFiles(): Promise<DefinitionFiles>;
  end(): void;
}

/** The read lane has four sessions; the other two stay for other callers. */
const MAX_CONCURRENT_READS = 2;

export function beginScrape(callerContext: Context, timeoutMs: number): Scrape {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      resolve(undefined); // before the cancelled commands fail
      over.abort();
    }, timeoutMs);
  });
  const ctx = withSignal(callerContext, AbortSignal.any([callerContext.signal, over.signal]));
  let files: Promise<DefinitionFiles> | undefined;
  return {
    ctx,
    definitionFiles: () => (files ??= readDefinitionFiles(ctx)),
    inTime: (work) => Promise.race([work, late]),
    limit: pLimit(MAX_CONCURRENT_READS),
    end() {
      clearTimeout(timer);
      over.abort();
    },
  };
}

function withSignal(ctx: Context, signal: AbortSignal): Context {
  const virsh: Virsh = (command, options) => ctx.virsh(command, { signal, ...options });
  virsh.all = (commands, options) => ctx.virsh.all(commands, { signal, ...options });
  virsh.settled = (commands, options) => ctx.virsh.settled(commands, { signal, ...options });
  virsh.oneShot = (command, options) => ctx.virsh.oneShot(command, { signal, ...options });
  return { ...ctx, virsh, signal };
}

/** For parts that not every hypervisor has: a failure is undefined, with a line in the log. */
export async function optional<T>({ ctx, inTime }: Scrape, part: string, work: Promise<T>) {
  try {
    const value = await inTime(work);
    if (!value) ctx.log.warn({ host: ctx.host }, `metrics: ${part} did not come in time`);
    return value;
  } catch (error) {
    ctx.log.info({ host: ctx.host, cause: error }, `metrics: no ${part}`);
    return undefined;
  }
}
