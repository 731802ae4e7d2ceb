/** The function host: every function of `functions/` on one port. `bun runtime/serve.ts` */
import { closeHypervisors, createContext, settings } from "./context.ts";
import { log } from "./log.ts";
import { createRouter, loadFunctions } from "./router.ts";

if (!process.env.LOG_LEVEL) log.level = "info";

async function main() {
  const { host, port, default_host } = settings();
  const functions = await loadFunctions();
  const router = createRouter(functions);
  const server = Bun.serve({
    hostname: host,
    port,
    idleTimeout: 0, // a wipe can last hours
    maxRequestBodySize: Number.MAX_SAFE_INTEGER, // ours answers in the envelope, Bun's does not
    fetch: (request) => router.fetch(request),
  });
  log.info(`${functions.length} functions on ${server.url}`);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, async () => {
      await server.stop(true);
      await closeHypervisors();
      process.exit(0);
    });
  }
  const { uri, virsh } = createContext({ host: default_host });
  await virsh(["version", "--daemon"]).then(
    (text) => log.info(`${default_host} (${uri}): ${text.trim().split("\n").slice(-2).join(", ")}`),
    (error) => log.warn(`${default_host} (${uri}) cannot be used yet: ${error.message}`),
  );
}

await main().catch((error: Error & { code?: string }) => {
  const used = error.code === "EADDRINUSE" ? "; choose another port with PORT" : "";
  console.error(`hypersdk: ${error.message}${used}`);
  process.exit(1);
});
