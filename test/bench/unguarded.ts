/** The functions of the benchmark on a server that asks nobody who calls: no access, limits, logs or metrics. */
import network from "../../functions/libvirt/network.ts";
import networks from "../../functions/libvirt/networks.ts";
import { createRouter } from "../../runtime/router.ts";

const router = createRouter([
  { path: "/libvirt/networks", function: networks },
  { path: "/libvirt/network", function: network },
]);
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  fetch: (request) => router.fetch(request),
});
console.log(`${server.url}`);
