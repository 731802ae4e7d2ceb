/** The host of the benchmark with all its functions, but nobody is asked who calls: no access, limits, logs or metrics. */
import { functionPaths, loadFunction } from "../../runtime/function/load.ts";
import { createRouter } from "../../runtime/server/router.ts";

const paths = (await functionPaths()).filter((path) => path !== "/metrics"); // counts what is called
const router = createRouter(
  await Promise.all(paths.map(async (path) => ({ path, function: await loadFunction(path) }))),
);
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  fetch: (request) => router.fetch(request),
});
console.log(`${server.url}`);
