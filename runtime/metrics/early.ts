/** Metrics from the start on: what happens is noted until prom-client is loaded, which would take a start 50 ms. */
import { log } from "../core/log.ts";
import { observer } from "../events/bus.ts";
import type { Context } from "../hypervisor/context.ts";

/** The content type of Prometheus's text format. */
export const MEDIA = "text/plain; version=0.0.4; charset=utf-8";

/** A start answers first. */
const LOAD_DELAY_MS = 1000;

const noted: (() => void)[] = [];
observer.request = (...event) => noted.push(() => observer.request?.(...event));
observer.virsh = (...event) => noted.push(() => observer.virsh?.(...event));
observer.connection = (...event) => noted.push(() => observer.connection?.(...event));
observer.job = (...event) => noted.push(() => observer.job?.(...event));

let loading: Promise<typeof import("./exposition.ts")> | undefined;

/** What is loaded observes in the place of the notes, and counts them. */
function load() {
  loading ??= import("./exposition.ts").then((loaded) => {
    for (const count of noted.splice(0)) count();
    return loaded;
  });
  return loading;
}

const timer = setTimeout(() => {
  load().catch((error) => log.error({ error }, "the metrics cannot be loaded"));
}, LOAD_DELAY_MS);
timer.unref();

export const metricsText = async (ctx: Context) => (await load()).metricsText(ctx);
