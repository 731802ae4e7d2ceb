/** The page of the fleet in a real browser, with the network cut off: what it shows, does, offers and refuses. */
import { rmSync, writeFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { revokeToken } from "../../../runtime/access/token-editor.ts";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import { startEcho } from "../../fixtures/live/console.ts";
import { type JobHost, startHost, stopHosts } from "../../fixtures/live/jobs.ts";
import { image, machine, names, programs, virsh, wipe } from "../../fixtures/live/machine.ts";
import {
  picture,
  seriousProblems,
  signIn,
  startBrowser,
  type Watched,
  watchedPage,
} from "../../fixtures/live/page.ts";
import { defineNetwork, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer } from "../../server.ts";

const BIN = "/run/bin-page";
let access: Guarded;
let host: JobHost;
let browser: Browser;
let admin: string;
let reader: string;
const open: Watched[] = [];

beforeAll(async () => {
  access = guarded("clone.copies = 1");
  admin = await access.token("boss", { role: "admin" });
  reader = await access.token("looks", { role: "read" });
  const bin = programs(BIN, { "qemu-img": '[ ! -e /run/slow ] || sleep 30; exec $REAL "$@"' });
  const env = { ...access.env, PATH: `${bin}:${process.env.PATH}` };
  host = await startHost({ state: "/run/page", env });
  browser = await startBrowser();
}, slow(60_000));
afterEach(async () => {
  rmSync("/run/slow", { force: true });
  for (const one of open.splice(0)) await one.close();
  await wipe();
});
afterAll(async () => {
  await browser.close();
  await stopHosts();
  access.remove();
});

/** Signed in, and quiet but for the 401 of who asks before. */
async function opened(token: string, options: Parameters<typeof watchedPage>[2] = {}) {
  const watched = await watchedPage(browser, `${host.url}/`, options);
  open.push(watched);
  await signIn(watched.page, token);
  return watched;
}
const UNSIGNED = /status of 401/;
const row = ({ page }: Watched, name: string) => page.locator(`tr[data-domain="local/${name}"]`);
const shows = (watched: Watched, name: string, state: string) =>
  row(watched, name).locator(".badge", { hasText: state }).waitFor();
const goTo = (watched: Watched, hash: string) =>
  watched.page.evaluate(`location.hash = ${JSON.stringify(hash)}`);

describe("signing in", () => {
  test("a token that does not count is refused in words; a good one stays out of reach of scripts", async () => {
    const watched = await watchedPage(browser, `${host.url}/`);
    open.push(watched);
    const { page, context } = watched;
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("the token is unknown or revoked").waitFor();
    expect(await seriousProblems(page)).toEqual([]);
    await picture(page, "sign-in-light");
    await signIn(page, admin);
    const kept = await page.evaluate(
      "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])",
    );
    expect(kept).toBe(JSON.stringify(["", {}, {}]));
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/", secure: false });
    expect(cookie?.value).not.toContain(admin);

    await page.reload();
    await page.getByRole("heading", { name: "Domains" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    const headers = { Cookie: `${cookie?.name}=${cookie?.value}` };
    expect((await host.get("/whoami", { headers })).status).toBe(401);
    watched.wasQuiet(UNSIGNED);
  });

  test("a revoked token ends its session", async () => {
    const token = await access.token("short", { role: "admin" });
    const watched = await opened(token);
    await revokeToken("short", access.tokens);
    await watched.page.reload();
    await watched.page.getByRole("heading", { name: "Sign in" }).waitFor();
    watched.wasQuiet(UNSIGNED);
  });

  test("where this machine's user needs no token, it just opens", async () => {
    const free = guarded();
    const server = await startServer(free.env);
    const watched = await watchedPage(browser, `${server.url}/`);
    await watched.page.getByRole("heading", { name: "Domains" }).waitFor();
    expect(await watched.page.getByRole("button", { name: "Sign out" }).count()).toBe(0);
    watched.wasQuiet();
    await watched.close();
    await server.stop();
    free.remove();
  });
});

test("a guest that virsh starts outside runs in the page, one that is defined comes, and one that goes is gone", async () => {
  await machine("web");
  const watched = await opened(admin);
  await shows(watched, "web", "shut off");
  await virsh("start", "web");
  const began = performance.now();
  await shows(watched, "web", "running");
  console.log(`shown as running after ${Math.round(performance.now() - began)} ms`);
  await virsh("suspend", "web");
  await shows(watched, "web", "paused");
  await machine("later");
  await shows(watched, "later", "shut off");
  await virsh("undefine", "later");
  await row(watched, "later").waitFor({ state: "detached" });
  await virsh("destroy", "web");
  await shows(watched, "web", "shut off");
  watched.wasQuiet(UNSIGNED);
});

test("networks and volumes that others change are shown as they are, without a look of the page's own", async () => {
  await defineNetwork("lan").catch(() => {}); // it may be there already
  await virsh("net-destroy", "lan").catch(() => {});
  const watched = await opened(admin);
  const { page } = watched;
  const asked: string[] = [];
  page.on("request", (one) => void asked.push(new URL(one.url()).pathname));
  await goTo(watched, "#/networks");
  const badge = page.locator("tr", { hasText: "lan" }).locator(".badge");
  await badge.getByText("inactive", { exact: true }).waitFor();
  await virsh("net-start", "lan");
  await badge.getByText("active", { exact: true }).waitFor();
  await virsh("net-destroy", "lan");
  await badge.getByText("inactive", { exact: true }).waitFor();

  await goTo(watched, "#/storage");
  await page.getByRole("heading", { name: "0 volumes in default" }).waitFor();
  const headers = { Authorization: `Bearer ${admin}`, "Content-Type": "application/json" };
  const volume = { pool: "default", name: "new.qcow2", format: "qcow2", capacity: 1 };
  const made = await host.post("/libvirt/volume/create", volume, { headers });
  expect(made.status, JSON.stringify(made.body)).toBeLessThan(300);
  await page.getByRole("rowheader", { name: "new.qcow2" }).waitFor();
  await page.getByRole("button", { name: "Delete volume new.qcow2" }).click();
  await page.getByRole("button", { name: "Delete volume", exact: true }).click();
  await page.getByRole("heading", { name: "0 volumes in default" }).waitFor();
  await goTo(watched, "#/hosts");
  await page.getByRole("heading", { name: "local up" }).waitFor();
  // the first view's stream may open only now
  const others = /^\/(jobs|job$|libvirt\/volume\/delete|libvirt\/domains\/watch)/;
  const reads = asked.filter((path) => !others.test(path));
  // a stream again for the first pool, which is chosen once the pools are known
  expect(reads.toSorted()).toEqual([
    "/hosts/watch",
    "/libvirt/network/watch",
    "/libvirt/pool/watch",
    "/libvirt/pool/watch",
  ]);
  watched.wasQuiet(UNSIGNED);
});

test("a domain is started, paused, resumed, switched off and deleted, with its snapshot and its disk", async () => {
  await machine("web", { disks: [await image("web.qcow2", "8M")] });
  const watched = await opened(admin);
  const { page } = watched;
  await page.getByRole("link", { name: "web" }).click();
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const becomes = (state: string) =>
    until(`it is ${state}`, async () => (await virsh("domstate", "web")).trim() === state, 30);
  await press("Start");
  await becomes("running");
  await press("Pause");
  await becomes("paused");
  await press("Resume");
  await becomes("running");
  await press("Switch off …");
  await press("Switch off");
  await becomes("shut off");
  await press("Snapshot …");
  await page.getByLabel("Name").fill("first");
  await press("Take snapshot");
  await page.getByRole("rowheader", { name: "first" }).waitFor();
  expect(await virsh("snapshot-list", "web", "--name")).toContain("first");
  await press("Delete …");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("1 snapshot: first").waitFor();
  await dialog.getByLabel("Also delete its disk").check();
  await dialog.getByText("web.qcow2").waitFor();
  expect(await seriousProblems(page)).toEqual([]);
  await picture(page, "delete-light");
  await press("Delete domain and disks");
  await page.getByRole("heading", { name: "Domains" }).waitFor();
  expect(await names()).toEqual([]);
  expect(await virsh("vol-list", "default")).not.toContain("web.qcow2");
  watched.wasQuiet(UNSIGNED);
});

test("the view of a domain shows a snapshot that was taken in the page, and what others change", async () => {
  await machine("web", { disks: [await image("web.qcow2", "8M")] });
  await virsh("start", "web");
  const watched = await opened(admin);
  const { page } = watched;
  await goTo(watched, "#/domain/local/web");
  await page.getByText("The domain has no snapshot.").waitFor();
  const fact = (name: string, value: string) =>
    page.locator("dl > div", { hasText: name }).getByText(value, { exact: true }).waitFor();
  const disks = page.locator(".card", { has: page.getByRole("heading", { name: "Disks" }) });

  // where it is not off, the snapshot is a job
  for (const name of ["first", "second"]) {
    await page.getByRole("button", { name: "Snapshot …" }).click();
    await page.getByLabel("Name").fill(name);
    await page.getByRole("button", { name: "Take snapshot" }).click();
    await page.getByRole("rowheader", { name }).waitFor();
  }
  await virsh("snapshot-delete", "web", "first");
  await page.getByRole("rowheader", { name: "first" }).waitFor({ state: "detached" });
  await virsh("destroy", "web");
  await fact("Starts with the hypervisor", "no");
  await virsh("autostart", "web");
  await fact("Starts with the hypervisor", "yes");
  await virsh("setvcpus", "web", "3", "--config", "--maximum");
  await virsh("setvcpus", "web", "3", "--config");
  await fact("vCPUs", "3");
  await virsh("setmaxmem", "web", "48M", "--config");
  await virsh("setmem", "web", "48M", "--config");
  await fact("Memory", "48.0 MiB");
  await virsh("attach-disk", "web", await image("more.qcow2"), "vdx", "--config");
  await disks.getByRole("rowheader", { name: "vdx" }).waitFor();
  await picture(page, "domain-changed");
  watched.wasQuiet(UNSIGNED);
});

test("a read of a domain that takes long is waited for, and what it shows is read again later", async () => {
  await machine("web");
  const watched = await opened(admin);
  const { page } = watched;
  await page.clock.install();
  await page.reload();
  await shows(watched, "web", "shut off");
  let reads = 0;
  const answer = Promise.withResolvers<void>();
  await page.route(/\/libvirt\/domain\?/, async (route) => {
    reads++;
    await answer.promise;
    await route.continue();
  });
  await goTo(watched, "#/domain/local/web");
  await until("the domain is being read", () => reads === 1, 10);
  await page.clock.fastForward(11_000);
  await page.waitForTimeout(slow(1000));
  expect(reads).toBe(1);
  answer.resolve();
  await page.getByRole("heading", { name: "Disks" }).waitFor();
  await page.clock.fastForward(11_000);
  await until("the domain is read again", () => reads === 2, 10);
  watched.wasQuiet(UNSIGNED);
});

test("a clone that is begun in the page shows how far it is, and is cancelled", async () => {
  await machine("base", { disks: [await image("base.raw")] });
  writeFileSync("/run/slow", "");
  const watched = await opened(admin);
  const { page } = watched;
  await goTo(watched, "#/domain/local/base");
  await page.getByRole("button", { name: "Clone …" }).click();
  await page.getByLabel("Name of the new domain").fill("copy");
  await page.getByRole("button", { name: "Clone", exact: true }).click();
  const progress = page.locator(".active-jobs .job-progress");
  await progress.getByRole("meter").waitFor();
  await progress.getByText("cop").first().waitFor();
  await picture(page, "clone-light");
  await goTo(watched, "#/jobs");
  await page.getByRole("button", { name: /^Cancel Clone: base → copy/ }).click();
  await page
    .locator("tr", { hasText: "copy" })
    .locator(".badge", { hasText: "cancelled" })
    .waitFor();
  expect(await names()).toEqual(["base"]);
  watched.wasQuiet(UNSIGNED);
});

test("who may only read is offered nothing, and their forged request is refused", async () => {
  await machine("web");
  const watched = await opened(reader);
  const { page } = watched;
  await shows(watched, "web", "shut off");
  expect(await page.locator("main tbody button").count()).toBe(0);
  await goTo(watched, "#/domain/local/web");
  await page.getByRole("heading", { name: "Disks" }).waitFor();
  expect(await page.locator("main button").count()).toBe(0);
  const status = await page.evaluate(`fetch("/libvirt/domain/start", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: '{"name":"web"}',
  }).then(({ status }) => status)`);
  expect(status).toBe(403);
  expect((await virsh("domstate", "web")).trim()).toBe("shut off");
  watched.wasQuiet(/status of 40[13]/);
});

test("a token of some domains sees those alone", async () => {
  await machine("own-1");
  await machine("other");
  const token = await access.token(`own ${Date.now()}`, { role: "operate", domains: ["own-*"] });
  const watched = await opened(token);
  await shows(watched, "own-1", "shut off");
  expect(await watched.page.locator("tr[data-domain]").count()).toBe(1);
  expect(await watched.page.getByRole("link", { name: "Networks" }).count()).toBe(0);
  watched.wasQuiet(UNSIGNED);
});

describe.each(["light", "dark"] as const)("%s", (theme) => {
  const VIEWS: [name: string, hash: string, wait: string][] = [
    ["domains", "#/domains", "tr[data-domain] .badge.good"],
    ["domain", "#/domain/local/web", ".screenshot"],
    ["hosts", "#/hosts", ".cards .card"],
    ["networks", "#/networks", "tbody tr"],
    ["storage", "#/storage", "tbody tr"],
    ["templates", "#/templates", "tbody tr"],
    ["jobs", "#/jobs", ".card"],
    ["schedules", "#/schedules", "tbody tr"],
  ];

  test(
    "axe finds nothing serious in any view, wide or narrow",
    async () => {
      await startEcho(machine, "web");
      await machine("db", { disks: [await image("db.qcow2")], network: "lan" });
      await machine("ubuntu-template", { disks: [await image("ubuntu.qcow2")] });
      await defineNetwork("lan").catch(() => {}); // it may be there already
      const name = `nightly-${theme}`;
      await host.post(
        "/schedules/create",
        {
          name,
          cron_expr: "0 3 * * *",
          job_template: {
            function: "/libvirt/domain/start",
            input: { name: "db" },
          },
        },
        { headers: { Authorization: `Bearer ${admin}`, "Content-Type": "application/json" } },
      );
      const watched = await opened(admin, { theme });
      const { page } = watched;
      for (const [view, hash, wait] of VIEWS) {
        await page.setViewportSize({ width: 1280, height: 800 });
        await goTo(watched, hash);
        await page.locator(wait).first().waitFor();
        await page.waitForTimeout(3000); // something to plot
        await picture(page, `${view}-${theme}`);
        expect(await seriousProblems(page), view).toEqual([]);
        await page.setViewportSize({ width: 420, height: 800 });
        await picture(page, `${view}-${theme}-narrow`);
        expect(await seriousProblems(page), `${view}, narrow`).toEqual([]);
      }
      watched.wasQuiet(UNSIGNED);
    },
    slow(120_000),
  );
});
