/** The function host: every function of `functions/` on one port. `bun runtime/serve.ts` */

import { log } from "./core/log.ts";
import { settings } from "./core/settings.ts";
import { createContext } from "./hypervisor/context.ts";
import { followKeptHosts } from "./hypervisor/kept-hosts.ts";
import { listDomains } from "./libvirt/domain/domain.ts";
import { reach } from "./libvirt/host.ts";
import { firstGuest } from "./server/first-guest.ts";
import { createGradualRouter } from "./server/gradual.ts";
import { cannotStart, startServer } from "./server/start.ts";
import { workWhenNeeded } from "./server/worker.ts";

if (!process.env.LOG_LEVEL) log.level = "info";

async function main() {
  const { default_host } = settings();
  const router = await createGradualRouter();
  await followKeptHosts();
  const { url } = await startServer(router, { changes: true });
  log.info(`${router.paths.length} functions on ${url()}`);
  if (`${url()}`.startsWith("http")) log.info(`the page of the fleet is ${url()}`);
  workWhenNeeded();
  const ctx = createContext({ host: default_host });
  const { uri, reachable, libvirt, hypervisor, error } = await reach(ctx);
  if (!reachable) return log.warn(`${default_host} (${uri}) cannot be used yet: ${error}`);
  log.info(`${default_host} (${uri}): libvirt ${libvirt}, ${hypervisor}`);
  if ((await listDomains(ctx, "--all")).length === 0) log.info(firstGuest(`${url()}`));
}

await main().catch(cannotStart);
