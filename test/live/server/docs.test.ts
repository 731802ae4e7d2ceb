/** The page at /docs in a real browser, with the network cut off: it reads the API, and calls it. */
import { readdirSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  clean,
  defineDomain,
  defineNetwork,
  expectSuccess,
  netInfo,
  networkNames,
  nics,
} from "../../fixtures/live/virsh.ts";
import { startServer, type TestServer } from "../../server.ts";

let server: TestServer;
let browser: Browser;
let page: Page;
/** All that the browser complains of, and where it goes. */
const complaints: string[] = [];
const origins = new Set<string>();

beforeAll(async () => {
  // the lab has a network of its own, with nothing on it but itself
  expect(readdirSync("/sys/class/net")).toEqual(["lo"]);
  server = await startServer();
  const executablePath = `${Bun.which("chromium")}`;
  // root has no sandbox, and the lab's /dev/shm may be small
  const args = ["--no-sandbox", "--disable-dev-shm-usage"];
  browser = await chromium.launch({ executablePath, args });
  page = await browser.newPage();
  page.on("console", (one) => {
    if (["error", "warning"].includes(one.type())) complaints.push(one.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("requestfailed", (one) => complaints.push(`${one.url()}: ${one.failure()?.errorText}`));
  page.on("request", (one) => origins.add(new URL(one.url()).origin));
  await page.goto(`${server.url}/docs`);
  await page.waitForSelector(".opblock");
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});
afterEach(async () => {
  await clean();
  expect(complaints).toEqual([]);
  expect([...origins]).toEqual([server.url]);
});

/** Open one function's box and press its buttons; `fill` gives the fields of the query by their names. */
async function callFromPage(path: string, body?: object, fill: Record<string, string> = {}) {
  const box = page.locator(".opblock", {
    has: page.locator(`.opblock-summary-path[data-path="${path}"]`),
  });
  await box.locator(".opblock-summary-control").click();
  await box.getByRole("button", { name: "Try it out" }).click();
  if (body) await box.locator("textarea.body-param__text").fill(JSON.stringify(body));
  for (const [name, value] of Object.entries(fill)) {
    await box.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  const [response] = await Promise.all([
    page.waitForResponse((one) => new URL(one.url()).pathname === path),
    box.getByRole("button", { name: "Execute" }).click(),
  ]);
  const status = await box.locator(".live-responses-table .response-col_status").last().innerText();
  const shown = await box.locator(".live-responses-table .highlight-code").first().innerText();
  return { response, status: Number.parseInt(status, 10), shown };
}

test("it lists every function, with its method and its summary", async () => {
  const { functions } = expectSuccess(await server.get("/capabilities"));
  const listed = await page.$$eval(".opblock-summary", (all) =>
    all.map((one) => {
      const text = (name: string) => one.querySelector(name)?.textContent ?? "";
      return {
        path: one.querySelector(".opblock-summary-path")?.getAttribute("data-path"),
        method: text(".opblock-summary-method"),
        summary: text(".opblock-summary-description"),
        loaded: true,
      };
    }),
  );
  type Listed = (typeof listed)[number];
  const byPath = (a: Listed, b: Listed) =>
    `${a.path} ${a.method}` < `${b.path} ${b.method}` ? -1 : 1;
  // a function with two methods is listed with each, and one with an alias under that path, too
  const known: Listed[] = functions.flatMap((one: Listed) =>
    one.method.split(", ").map((method: string) => ({ ...one, method })),
  );
  const own = listed.filter(({ path }) => path !== "/" && !path?.includes("{id}"));
  expect(own.sort(byPath)).toEqual(known.sort(byPath));
  expect(listed.length).toBeGreaterThan(50);
});

test("a call from the page makes a network", async () => {
  const { status, shown, response } = await callFromPage("/libvirt/network/create", {
    name: "from the page",
    subnet: "10.99.0.1",
  });
  expect(status).toBe(201);
  expect(shown).toContain("Network from the page created");
  expect(response.request().method()).toBe("POST");
  expect(await netInfo("from the page")).toMatchObject({ Active: "no", Persistent: "yes" });
});

test("the example, as the page offers it, attaches an interface", async () => {
  await defineNetwork("vm-network");
  await defineDomain("my-vm");
  const { status } = await callFromPage("/libvirt/interface/attach");
  expect(status).toBe(200);
  expect(await nics("my-vm", "--inactive")).toMatchObject([{ network: "vm-network" }]);
});

test("a query", async () => {
  await defineNetwork("lan");
  const { status, shown } = await callFromPage("/libvirt/network", undefined, { name: "lan" });
  expect(status).toBe(200);
  expect(shown).toContain('"name": "lan"');
});

test("another site's page cannot hold this one", async () => {
  const other = await browser.newPage();
  const framed = other.waitForResponse(`${server.url}/docs`);
  await other.setContent(`<iframe src="${server.url}/docs"></iframe>`);
  expect((await framed).status()).toBe(403);
  await other.close();
  expect(await networkNames()).toEqual([]);
});
