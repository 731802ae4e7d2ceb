/** Changes to one domain's definition, one after the other: what is read, edited and defined again loses nothing. */
import type { Context } from "../../hypervisor/context.ts";
import { keyValues } from "../virsh-output.ts";
import { domainRef } from "./domain.ts";

/** By hypervisor and UUID, the end of the last change that was begun. */
const turns = new Map<string, Promise<unknown>>();

/**
 * Runs `work` when the changes of this process to the same domain before it have ended, with the domain's UUID and
 * what `dominfo` then says. Throws `forbidden` for one that is not the caller's any more.
 */
export async function inTurn<T>(
  ctx: Context,
  name: string,
  work: (uuid: string, dominfo: string) => Promise<T>,
): Promise<T> {
  const ref = await domainRef(ctx, name);
  const { UUID: uuid = ref } = keyValues(await ctx.virsh(["dominfo", "--domain", ref]));
  const key = `${ctx.host} ${ctx.uri} ${uuid}`;
  const result = (turns.get(key) ?? Promise.resolve()).then(async () => {
    await ctx.rights.checkAgain(ctx.host, name, uuid);
    return work(uuid, await ctx.virsh(["dominfo", "--domain", uuid]));
  });
  const end = result.catch(() => {});
  turns.set(key, end);
  try {
    return await result;
  } finally {
    if (turns.get(key) === end) turns.delete(key);
  }
}
