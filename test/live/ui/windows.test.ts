/** Many windows of the page in one browser, which has six connections to a server: all of them work. */
import type { Browser, Page, Request } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import { machine, virsh, wipe } from "../../fixtures/live/machine.ts";
import { startBrowser, watchedPage } from "../../fixtures/live/page.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

/** Each in a window of its own, all of them visible. */
const VIEWS = [
  ...["#/domains", "#/domain/local/web", "#/domains", "#/domain/local/web"],
  ...["#/hosts", "#/networks", "#/domains", "#/jobs"],
];
let access: Guarded;
let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  access = guarded();
  server = await startServer(access.env);
  browser = await startBrowser();
}, slow(60_000));
afterEach(wipe);
afterAll(async () => {
  await browser.close();
  await server.stop();
  access.remove();
});

test(
  "eight windows are open at once, hear what changes, and go on when those that held the streams have closed, or the network is back",
  async () => {
    await machine("web");
    const { page: first, context, wasQuiet, close } = await watchedPage(browser, `${server.url}/`);
    const pages: Page[] = [first];
    for (const hash of VIEWS.slice(1)) {
      const page = await context.newPage();
      await page.goto(`${server.url}/${hash}`);
      pages.push(page);
    }
    const badge = (page: Page, state: string) =>
      page.locator("main .badge", { hasText: state }).first().waitFor();
    const shown = pages.filter((_, i) => /domain/.test(`${VIEWS[i]}`));
    await Promise.all(shown.map((page) => badge(page, "shut off")));
    await pages[4]?.getByRole("heading", { name: "local up" }).waitFor();
    await pages[5]?.getByRole("heading", { name: "Networks" }).waitFor();

    await virsh("start", "web");
    await Promise.all(shown.map((page) => badge(page, "running")));
    // whichever window holds a stream: it goes, and another takes it up
    for (const page of pages.slice(4).toReversed()) await page.close();
    await virsh("suspend", "web");
    await Promise.all(shown.slice(0, 4).map((page) => badge(page, "paused")));
    // a window that is opened now is told the whole state
    const late = await context.newPage();
    await late.goto(`${server.url}/#/domains`);
    await badge(late, "paused");
    await late.getByRole("button", { name: "Resume" }).click();
    const left = [...shown.slice(0, 4), late];
    await Promise.all(left.map((page) => badge(page, "running")));
    // each of them takes over at the same moment
    await Promise.all(left.map((page) => page.evaluate("dispatchEvent(new Event('online')); 0")));
    await virsh("suspend", "web");
    await Promise.all(left.map((page) => badge(page, "paused")));
    wasQuiet();
    await close();
  },
  slow(120_000),
);

test("windows hold one stream of each kind between them", async () => {
  const { page, context, close } = await watchedPage(browser, `${server.url}/`);
  const open = new Map<Request, string>();
  const begun = (one: Request) => {
    const { pathname } = new URL(one.url());
    if (pathname.endsWith("/watch")) open.set(one, pathname);
  };
  context.on("request", begun);
  for (const event of ["requestfailed", "requestfinished"] as const)
    context.on(event as "requestfailed", (one) => void open.delete(one));
  await page.reload();
  for (let i = 0; i < 5; i++) await (await context.newPage()).goto(`${server.url}/`);
  await until("two streams are open", () => open.size === 2, 10);
  expect([...open.values()].toSorted()).toEqual(["/jobs/watch", "/libvirt/domains/watch"]);
  await close();
});
