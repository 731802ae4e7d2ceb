/** Serves functions over HTTP until a signal ends the process: all of them (`serve.ts`), or those of a bundle. */

import type { Loaded } from "../function/load.ts";
import { openAudit } from "../http/audit.ts";
import { checkSafe, listen } from "./listen.ts";
import type { Listener } from "./listener.ts";
import { createRouter } from "./router.ts";
import { endOnSignals } from "./shutdown.ts";

/** Listens at the configured address. Throws when it cannot, or must not. */
export async function startServer(functions: Loaded[]): Promise<Listener> {
  checkSafe();
  if (functions.some((one) => one.function?.spec.access !== "read")) openAudit();
  const router = createRouter(functions);
  const listener = await listen((request, server) =>
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
