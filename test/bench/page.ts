/**
 * `npm run bench:page` (`-- --json`): virsh commands a second with no viewer of the page, with one and with ten; the first
 * view of a thousand domains in Chromium; how soon a guest that virsh starts is shown as running; and consoles: bytes a
 * second and the round trip of a key beside a bare TCP proxy in the same process, local and over SSH, and what each open
 * one costs in memory. One run.
 */
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { guarded } from "../fixtures/access.ts";
import { defineMany, nameOf } from "../fixtures/live/many.ts";
import { startBrowser, watchedPage } from "../fixtures/live/page.ts";
import { virsh } from "../fixtures/live/virsh.ts";
import { startServer, type TestServer } from "../server.ts";
import { quantile, table } from "./measure.ts";
import { consoleFigures, consoleMemory } from "./page-consoles.ts";

if (process.env.HYPERSDK_LAB !== "1") throw new Error("it makes domains: npm run bench:page");

const DOMAINS = 1000;
const RUNNING = 5;
const SECONDS = 30;
const STARTS = 10;
const load = loadavg()[0] ?? 0;
const round = (n: number) => Math.round(n * 100) / 100;

/** All commands that the server has given to virsh so far, as its log has them. */
function commandsOf(server: TestServer): number {
  const trips = server
    .log()
    .split("\n")
    .filter((line) => line.includes('"argvs":'));
  return trips.reduce((sum, line) => sum + (JSON.parse(line).argvs as unknown[]).length, 0);
}

/** Of a page on domains, on networks, on storage and on hypervisors, all at once. */
const STREAMS = [
  ...["/libvirt/domains/watch", "/jobs/watch", "/hosts/watch"],
  ...["/libvirt/network/watch", "/libvirt/pool/watch?pool=default"],
];

/** The streams that pages hold open. */
function view(server: TestServer) {
  const end = new AbortController();
  for (const path of STREAMS) {
    fetch(server.url + path, { signal: end.signal })
      .then((response) => response.text())
      .catch(() => {});
  }
  return () => end.abort();
}

async function hypervisorWork(server: TestServer, viewers: number) {
  const ends = Array.from({ length: viewers }, () => view(server));
  await sleep(4000);
  const before = commandsOf(server);
  await sleep(SECONDS * 1000);
  const commands = commandsOf(server) - before;
  for (const end of ends) end();
  await sleep(2000);
  return { viewers, virsh_commands_a_second: round(commands / SECONDS) };
}

/** In Chromium, from the address to the first row, and from `virsh start` to its state. */
async function inBrowser(server: TestServer) {
  const browser = await startBrowser();
  const firstViews: number[] = [];
  for (let n = 0; n < 5; n++) {
    const began = performance.now();
    const { page, close } = await watchedPage(browser, `${server.url}/`);
    await page.locator("tr[data-domain]").first().waitFor();
    firstViews.push(performance.now() - began);
    await close();
  }
  const { page, close } = await watchedPage(browser, `${server.url}/`);
  const shown: number[] = [];
  for (let n = 0; n < STARTS; n++) {
    const badge = page.locator(`tr[data-domain="local/${nameOf(n + RUNNING)}"] .badge`);
    await badge.waitFor();
    await virsh("start", nameOf(n + RUNNING));
    const began = performance.now();
    await badge.getByText("running").waitFor();
    shown.push(performance.now() - began);
    await virsh("destroy", nameOf(n + RUNNING));
    await sleep(500);
  }
  await close();
  await browser.close();
  firstViews.sort((a, b) => a - b);
  shown.sort((a, b) => a - b);
  return {
    domains: DOMAINS,
    first_view_ms: Math.round(quantile(firstViews, 0.5)),
    first_view_worst_ms: Math.round(firstViews.at(-1) ?? 0),
    started_shown_ms: Math.round(quantile(shown, 0.5)),
    started_shown_worst_ms: Math.round(shown.at(-1) ?? 0),
  };
}

defineMany(DOMAINS);
for (let n = 0; n < RUNNING; n++) await virsh("start", nameOf(n));
const access = guarded();
const server = await startServer({ ...access.env, LOG_LEVEL: "debug" });
const work = [];
for (const viewers of [0, 1, 10]) work.push(await hypervisorWork(server, viewers));
await server.stop();
const quiet = await startServer(access.env);
const browser = await inBrowser(quiet);
const memory = await consoleMemory(quiet);
await quiet.stop();
const consoles = await consoleFigures();
access.remove();
if (process.argv.includes("--json"))
  console.log(JSON.stringify({ load, work, browser, consoles, memory }));
else
  console.log(
    [`load before: ${round(load)}`, ...[work, [browser], consoles, memory].map(table)].join("\n"),
  );
process.exit();
