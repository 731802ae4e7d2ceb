/** What libvirt tells by itself, for those who look at a hypervisor: then they look at once. */
import { log } from "../../core/log.ts";
import type { Kind } from "../../events/fleet-event.ts";
import type { Context } from "../../hypervisor/context.ts";

/** `then` is called with each event until the signal comes, and with whether events are heard now. */
export async function hear(
  ctx: Pick<Context, "follow" | "host">,
  kinds: Kind[],
  then: (isLive: boolean) => void,
) {
  try {
    const listener = await ctx.follow?.({ kinds: [...kinds, "hypervisor"] });
    for await (const event of listener ?? [])
      then(event.kind !== "hypervisor" || event.event !== "lost");
  } catch (error) {
    log.warn({ host: ctx.host, error }, "the events of what is watched are not heard");
  }
}
