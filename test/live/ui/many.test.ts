/** The page with a thousand domains: it holds the rows that can be seen, and an update redraws one of them. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import { defineMany, nameOf, undefineMany } from "../../fixtures/live/many.ts";
import { startBrowser, watchedPage } from "../../fixtures/live/page.ts";
import { virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

const COUNT = 1000;
let access: Guarded;
let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  defineMany(COUNT);
  access = guarded();
  server = await startServer(access.env);
  browser = await startBrowser();
}, slow(120_000));
afterAll(async () => {
  await browser.close();
  await server.stop();
  access.remove();
  undefineMany(COUNT);
}, slow(120_000));

test(
  "a thousand domains: few rows are there, all can be reached, and one row is redrawn for one domain",
  async () => {
    const began = performance.now();
    const watched = await watchedPage(browser, `${server.url}/`);
    const { page } = watched;
    const row = (n: number) => page.locator(`tr[data-domain="local/${nameOf(n)}"]`);
    await row(0).waitFor();
    console.log(`the first view after ${Math.round(performance.now() - began)} ms`);
    await page.getByText(`${COUNT} domains, 0 running`).waitFor();
    expect(await page.locator("tbody tr[data-domain]").count()).toBeLessThan(60);
    expect(await page.locator("table").getAttribute("aria-rowcount")).toBe(`${COUNT + 1}`);

    await page.evaluate(`globalThis.changed = new Set();
    new MutationObserver((all) => {
      for (const { target } of all) {
        const element = target instanceof Element ? target : target.parentElement;
        globalThis.changed.add(element.closest("tr")?.dataset.domain ?? element.tagName);
      }
    }).observe(document.querySelector("tbody"), {
      attributes: true, childList: true, characterData: true, subtree: true,
    })`);
    await virsh("start", nameOf(3));
    await row(3).locator(".badge", { hasText: "running" }).waitFor();
    await page.waitForTimeout(5000); // its statistics
    expect(await page.evaluate("[...globalThis.changed]")).toEqual([`local/${nameOf(3)}`]);
    await virsh("destroy", nameOf(3));

    const frames = await framesWhileScrolling(page);
    console.log(
      `frames while scrolling: median ${frames.median} ms, worst of twenty ${frames.worst} ms`,
    );
    expect(frames.median).toBeLessThan(slow(34)); // thirty a second, without a graphics card
    expect(frames.worst).toBeLessThan(slow(100));
    expect(frames.blank).toBe(0);

    await page.evaluate("document.querySelector('.table-scroll').scrollTo(0, 1e6)");
    await row(COUNT - 1).waitFor();
    expect(await row(0).count()).toBe(0);
    await page.getByPlaceholder("Filter by name").fill("0500");
    await row(500).waitFor();
    expect(await page.locator("tbody tr[data-domain]").count()).toBe(1);
    watched.wasQuiet();
  },
  slow(120_000),
);

/** Scrolls through all of them within three seconds: the milliseconds between two frames, and frames without a row in sight. */
async function framesWhileScrolling(page: Page) {
  const { gaps, blank } = (await page.evaluate(`new Promise((resolve) => {
    const place = document.querySelector(".table-scroll");
    const [began, height] = [performance.now(), place.scrollHeight - place.clientHeight];
    const gaps = [];
    let before = began;
    let blank = 0;
    requestAnimationFrame(function draw(now) {
      gaps.push(now - before);
      before = now;
      const { left, top, height: seen } = place.getBoundingClientRect();
      const isRow = document.elementFromPoint(left + 50, top + seen / 2)?.closest("tr[data-domain]");
      if (!isRow) blank++;
      const done = (now - began) / 3000;
      place.scrollTop = Math.max(0, done) * height;
      if (done < 1) requestAnimationFrame(draw);
      else resolve({ gaps: gaps.slice(1), blank });
    });
  })`)) as { gaps: number[]; blank: number };
  const sorted = gaps.map(Math.round).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return { median: at(0.5), worst: at(0.95), blank };
}
