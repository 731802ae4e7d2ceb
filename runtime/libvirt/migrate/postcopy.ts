/** The switch to post-copy: the guest goes on at the target, which fetches the rest of its memory as it needs it. */
import type { Sides } from "./sides.ts";
import type { MigrateWish } from "./wish.ts";

const AGAIN_MS = 500;

export interface Postcopy {
  /** The guest's memory is in two halves, so that nothing may end the migration but itself. */
  isOn: boolean;
  /** It is not switched from now on. */
  end(): void;
}

/**
 * Asks libvirt for it after so many seconds, and again until it is done: libvirt refuses while a slow target is being
 * prepared, and virsh's own `--timeout-postcopy` asks once.
 */
export function switching({ source, uuid }: Sides, { postcopy_after }: MigrateWish): Postcopy {
  let timer: NodeJS.Timeout | undefined;
  const postcopy = {
    isOn: false,
    end() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
  const ask = async () => {
    const asked = source.virsh.settled([["migrate-postcopy", "--domain", uuid]]);
    const [answer] = await asked.catch(() => []); // one that cannot be asked now can be later
    postcopy.isOn = typeof answer === "string";
    if (postcopy.isOn) source.log.info("The guest goes on at the target, by post-copy.");
    else if (timer) timer = setTimeout(ask, AGAIN_MS);
  };
  if (postcopy_after !== undefined) timer = setTimeout(ask, postcopy_after * 1000);
  return postcopy;
}
