/** The network between the page and its server is gone for a minute: what the page says meanwhile, and that it goes on. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import { startEcho } from "../../fixtures/live/console.ts";
import { machine, virsh, wipe } from "../../fixtures/live/machine.ts";
import { picture, seriousProblems, startBrowser, watchedPage } from "../../fixtures/live/page.ts";
import { startWire, type Wire } from "../../fixtures/live/wire.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

const GONE_MS = 60_000;
let access: Guarded;
let server: TestServer;
let browser: Browser;
let wire: Wire;

beforeAll(async () => {
  access = guarded();
  server = await startServer(access.env);
  browser = await startBrowser();
}, slow(60_000));
afterEach(async () => {
  wire.stop();
  await wipe();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  access.remove();
});

test(
  "the page says that the connection is lost, and shows what there is once it is back; a console opens again",
  async () => {
    await startEcho(machine, "web");
    wire = await startWire(server.url);
    const { page, wasQuiet, close } = await watchedPage(browser, `${wire.url}/`);
    const state = (text: string) =>
      page.locator(`tr[data-domain="local/web"] .badge`, { hasText: text }).waitFor();
    await state("running");
    const line = await watchedPage(browser, `${wire.url}/console/serial?name=web`);
    await line.page.locator("#state", { hasText: "Connected to web" }).waitFor();

    wire.cut();
    const began = performance.now();
    await virsh("suspend", "web");
    const lost = page.getByText("The connection to the server is lost; what you see may be old.");
    await lost.waitFor({ timeout: slow(GONE_MS) });
    console.log(`the page says so after ${Math.round((performance.now() - began) / 1000)} s`);
    await picture(page, "lost-light");
    expect(await seriousProblems(page)).toEqual([]);
    await line.page
      .locator("#state", { hasText: "connecting again" })
      .waitFor({ timeout: slow(GONE_MS) });
    await picture(line.page, "console-lost");
    const left = GONE_MS - (performance.now() - began);
    if (left > 0) await page.waitForTimeout(left);

    wire.mend();
    const back = performance.now();
    await state("paused");
    await lost.waitFor({ state: "detached" });
    console.log(`the page goes on after ${Math.round(performance.now() - back)} ms`);
    await line.page.locator("#state", { hasText: "Connected to web" }).waitFor();
    await virsh("resume", "web");
    await state("running");
    wasQuiet();
    for (const one of [close, line.close]) await one();
  },
  slow(300_000),
);
