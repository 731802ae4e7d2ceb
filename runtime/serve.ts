/** The function host: every function of `functions/` on one port. `bun runtime/serve.ts` */

import { log } from "./core/log.ts";
import { settings } from "./core/settings.ts";
import { loadFunctions } from "./function/load.ts";
import { createContext } from "./hypervisor/context.ts";
import { reach } from "./libvirt/host.ts";
import { cannotStart, startServer } from "./server/start.ts";

if (!process.env.LOG_LEVEL) log.level = "info";

async function main() {
  const { default_host } = settings();
  const functions = await loadFunctions();
  const { url } = await startServer(functions);
  log.info(`${functions.length} functions on ${url()}`);
  const { uri, reachable, libvirt, hypervisor, error } = await reach(
    createContext({ host: default_host }),
  );
  if (reachable) log.info(`${default_host} (${uri}): libvirt ${libvirt}, ${hypervisor}`);
  else log.warn(`${default_host} (${uri}) cannot be used yet: ${error}`);
}

await main().catch(cannotStart);
