/** A guest moves to another hypervisor while its screen and its serial line are open: their viewers are told where to go. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { counterGuest, type Ear, listen } from "../../fixtures/live/counter.ts";
import { DISK, labPair } from "../../fixtures/live/migrating.ts";
import { picture, startBrowser, watchedPage } from "../../fixtures/live/page.ts";
import { define } from "../../fixtures/live/pair.ts";
import { expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { handshake, openSocket } from "../../fixtures/socket.ts";

const pair = labPair();
let ear: Ear;
let browser: Browser;

beforeAll(async () => {
  browser = await startBrowser();
}, slow(60_000));
afterAll(() => browser.close());
beforeEach(async () => {
  ear = await listen();
});
afterEach(() => ear.stop());

const DEVICES = `<serial type='pty'/><graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/><video><model type='vga'/></video>`;
const MOVED = "moved: the domain has moved to another hypervisor; open its console there";

test(
  "the sockets are closed with that reason, the page says so and does not try the old place again; the new one opens",
  async () => {
    const { kvm1, server } = pair;
    await kvm1.run(
      "sh",
      "-c",
      `qemu-img create -q -f qcow2 ${DISK} 64M; virsh -q pool-refresh default`,
    );
    await define(kvm1, await counterGuest("vm", { disk: DISK, devices: DEVICES }));
    await kvm1.virsh("start", "vm");
    await until("it counts", () => ear.last() > 50, slow(60));

    const at = (kind: string, host: string) => `/console/${kind}?name=vm&host=${host}`;
    const screen = await handshake(server.url, at("vnc", "kvm1"));
    const line = await openSocket(server.url, `${at("serial", "kvm1")}&device=serial1`);
    const watched = await watchedPage(browser, `${server.url}${at("vnc", "kvm1")}`);
    const says = (text: string) => watched.page.locator("#state", { hasText: text }).waitFor();
    await says("Connected to vm");

    const wish = { name: "vm", live: true, to: "kvm2", copy_storage: "all" };
    expectSuccess(await server.post("/libvirt/domain/migrate?host=kvm1", wish));
    expect(await screen.closed).toEqual({ code: 1000, reason: MOVED });
    expect(await line.closed).toEqual({ code: 1000, reason: MOVED });
    await says("The domain has moved to another hypervisor; open its console there");
    await watched.page.waitForTimeout(3000); // it would try again after 2 s
    expect(await watched.page.locator("#state").innerText()).not.toContain("connecting again");
    await picture(watched.page, "console-moved");
    await watched.page.goto(`${server.url}${at("vnc", "kvm2")}`);
    await says("Connected to vm");
    await watched.close();
    (await handshake(server.url, at("vnc", "kvm2"))).socket.close();
  },
  slow(120_000),
);
