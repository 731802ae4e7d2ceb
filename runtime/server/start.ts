/** Serves functions over HTTP until a signal ends the process: all of them (`serve.ts`), or those of a bundle. */

import { openSettings } from "../core/settings.ts";
import { lingering } from "../events/hub.ts";
import { openAudit } from "../http/audit.ts";
import { checkSafe, listen } from "./listen.ts";
import type { Listener } from "./listener.ts";
import type { Router } from "./router.ts";
import { endOnSignals } from "./shutdown.ts";

/** For who follows what happens, loses the connection, and comes back. */
const LINGER_MS = 30_000;

/** Listens at the configured address. Throws when it cannot, or must not. `changes`: a function of it writes audit lines. */
export async function startServer(router: Router, { changes }: { changes: boolean }) {
  await openSettings();
  await checkSafe();
  if (changes) openAudit();
  lingering.ms = LINGER_MS;
  const listener: Listener = await listen((request, server) =>
    router.fetch(request, { arrival: { server, path: "" } }),
  );
  endOnSignals(listener);
  return listener;
}

/** Says why there is no server, and ends the process. */
export function cannotStart(error: Error & { code?: string }): never {
  const used = error.code === "EADDRINUSE" ? "; choose another port with PORT" : "";
  console.error(`hypersdk: ${error.message}${used}`);
  process.exit(1);
}
