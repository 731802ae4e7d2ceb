/** Pages of other origins in a real browser, on the machine of somebody who may do everything: they do nothing. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect } from "vitest";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { clean, defineNetwork, netInfo, networkNames } from "../../fixtures/live/virsh.ts";
import { startServer } from "../../server.ts";

const { test, server } = labTest({ start: () => startServer(access.env), tidy: clean });
let access: Guarded;
let browser: Browser;
let evil: Bun.Server<unknown>;
const HTML = { "Content-Type": "text/html" };

beforeAll(async () => {
  access = guarded();
  evil = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("<p>", { headers: HTML }),
  });
  const rules = "MAP evil.test 127.0.0.1, MAP rebound.test 127.0.0.1";
  // what a browser does by itself against pages that reach into its machine is not ours to test
  const features =
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests";
  const flags = ["--no-sandbox", "--disable-dev-shm-usage", features];
  const args = [...flags, `--host-resolver-rules=${rules}`];
  browser = await chromium.launch({ executablePath: `${Bun.which("chromium")}`, args });
});
afterAll(async () => {
  await browser.close();
  await evil.stop(true);
  access.remove();
});
beforeEach(() => defineNetwork("lan"));

const portOf = (url: string) => new URL(url).port;

const ATTACK = readFileSync(join(import.meta.dirname, "../../fixtures/attack.js"), "utf8");
/** What the page could read of the answers to all that it can send. */
const attack = (page: Page, target: string): Promise<string[]> =>
  page.evaluate(
    `(${ATTACK.slice(ATTACK.indexOf("async"), ATTACK.lastIndexOf("}") + 1)})(${JSON.stringify(target)})`,
  );

const nothingHappened = async () => {
  expect(await netInfo("lan")).toMatchObject({ Active: "no" });
  expect(await networkNames()).toEqual(["lan"]);
  expect(access.audited()).toEqual([]);
};

describe("a page of another origin", () => {
  test.each([
    ["another site", () => `http://evil.test:${evil.port}/`],
    ["another port of this machine", () => `http://127.0.0.1:${evil.port}/`],
    ["another port of localhost", () => `http://localhost:${evil.port}/`],
    ["no origin", () => "data:text/html,<p>"],
  ])("%s", async (_what, from) => {
    const page = await browser.newPage();
    await page.goto(from());
    for (const name of ["127.0.0.1", "localhost"]) {
      expect(await attack(page, `http://${name}:${portOf(server.url)}`)).toEqual([]);
    }
    await page.close();
    await nothingHappened();
  });

  test("one whose name leads to this server by now (DNS rebinding)", async () => {
    const page = await browser.newPage();
    const origin = `http://rebound.test:${portOf(server.url)}`;
    // what it loaded while its name still led elsewhere
    await page.route(`${origin}/page`, (route) =>
      route.fulfill({ body: "<p>", contentType: "text/html" }),
    );
    await page.goto(`${origin}/page`);
    const came = page.waitForResponse((one) => one.url() === `${origin}/libvirt/network/start`);
    expect(await attack(page, origin)).toEqual([]);
    const answer = await came;
    expect([answer.status(), await answer.json()]).toMatchObject([403, { missing: "host header" }]);
    await page.close();
    await nothingHappened();
  });
});

test("this server's own page does it: the attacks reach their target", async () => {
  const page = await browser.newPage();
  await page.goto(`${server.url}/health`);
  const read = await attack(page, server.url);
  expect(read.join("\n")).toMatch(/application\/json cors: 200 .*Network lan started/);
  expect(await netInfo("lan")).toMatchObject({ Active: "yes" });
  await page.close();
});
