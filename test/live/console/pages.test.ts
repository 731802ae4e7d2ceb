/** The pages of consoles in a real browser, with the network cut off: seen, typed into, and nothing from elsewhere. */
import { readFileSync } from "node:fs";
import { decode } from "fast-png";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { revokeToken } from "../../../runtime/access/token-editor.ts";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import { logOf, startEcho } from "../../fixtures/live/console.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { define, start } from "../../fixtures/live/machine.ts";
import { picture } from "../../fixtures/live/page.ts";
import { until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { openSocket } from "../../fixtures/socket.ts";
import { tinyGuestXml } from "../../lab/guest.ts";
import { type Sshd, startSshd } from "../../lab/sshd.ts";
import type { TestServer } from "../../server.ts";

const { test, server } = labTest({ start: () => start(undefined, access.env) });
let access: Guarded;
let browser: Browser;
let sshd: Sshd;
let remote: TestServer;
/** All that the browser complains of, and where it goes. */
const complaints: string[] = [];
const origins = new Set<string>();

beforeAll(async () => {
  access = guarded();
  // root has no sandbox, and the lab's /dev/shm may be small
  const args = ["--no-sandbox", "--disable-dev-shm-usage"];
  browser = await chromium.launch({ executablePath: `${Bun.which("chromium")}`, args });
  sshd = await startSshd();
  remote = await start(undefined, { LIBVIRT_DEFAULT_URI: sshd.uri() });
});
afterAll(async () => {
  await browser.close();
  await remote.stop();
  await sshd.stop();
  access.remove();
});
afterEach(() => {
  expect(complaints.splice(0)).toEqual([]);
  expect([...origins].filter((one) => ![server.url, remote.url].includes(one))).toEqual([]);
  origins.clear();
});

async function opened(url: string): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(slow(60_000));
  page.on("console", (one) => {
    if (["error", "warning"].includes(one.type())) complaints.push(one.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (one) => {
    if (/^https?:/.test(one.url())) origins.add(new URL(one.url()).origin);
  });
  page.on("websocket", (one) => origins.add(new URL(one.url().replace(/^ws/, "http")).origin));
  await page.goto(url);
  return page;
}

const says = (page: Page, text: string | RegExp) =>
  until(
    `the page says ${text}`,
    async () => {
      const said = await page.locator("#state").innerText();
      return typeof text === "string" ? said.includes(text) : text.test(said);
    },
    60,
  );

const serial = (name: string) => readFileSync(logOf(name), "utf8");
/** Typed again and again: the machine may not be up yet. */
const types = (page: Page, name: string, text: string) =>
  until(
    `the guest has ${text}`,
    async () => {
      await page.keyboard.type(text);
      await page.waitForTimeout(300);
      return serial(name).includes(text);
    },
    60,
  );

describe.each([
  ["local", () => server],
  ["over SSH", () => remote],
] as const)("%s", (_where, of) => {
  test("the serial page: what is typed comes back, and the window's size is no matter", async ({
    machine,
  }) => {
    await startEcho(machine, "line");
    const page = await opened(`${of().url}/console/serial?name=line`);
    await says(page, "Connected to line");
    await types(page, "line", "typed");
    await until("it is shown", async () =>
      (await page.locator(".xterm-rows").innerText()).includes("typed"),
    );
    await page.setViewportSize({ width: 500, height: 400 });
    await types(page, "line", "smaller");
    await virsh("destroy", "line");
    await says(page, /ended|not running|No connection/);
    await virsh("start", "line");
    await says(page, "Connected to line");
    complaints.splice(0); // of the WebSockets that were refused meanwhile
    await page.close();
  });

  test("the screen's page: the guest's picture, and keys that arrive", async ({ machine }) => {
    await startEcho(machine, "screen");
    const page = await opened(`${of().url}/console/vnc?name=screen`);
    await says(page, "Connected to screen");
    await page.locator("#screen canvas").click();
    await types(page, "screen", "typed");
    // the cursor blinks
    await until(
      "the picture is that of virsh",
      async () => {
        await virsh("screenshot", "screen", "--file", "/run/screen.png");
        const { width, height, data } = decode(readFileSync("/run/screen.png"));
        const shown = (await page.evaluate(`(() => {
        const canvas = document.querySelector("#screen canvas");
        const { width, height } = canvas;
        const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
        return { width, height, data: [...data].filter((_, i) => i % 4 < 3) };
      })()`)) as { width: number; height: number; data: number[] };
        if (shown.width !== width || shown.height !== height) return false;
        const other = shown.data.filter((one, i) => Math.abs(one - Number(data[i])) > 2).length;
        return other < data.length / 1000;
      },
      60,
    );
    await page.close();
  });
});

test(
  "a request that waits for a connection of the browser's is no sign that the server is lost",
  async ({ machine }) => {
    await startEcho(machine, "alive");
    const pages = await Promise.all(
      [
        "serial?name=alive",
        "vnc?name=alive",
        "serial?name=alive&view=1",
        "vnc?name=alive&view=1",
      ].map((path) => opened(`${server.url}/console/${path}`)),
    );
    const said = () => Promise.all(pages.map((page) => page.locator("#state").innerText()));
    for (const page of pages) {
      await says(page, /Connected to alive|Watching alive/);
      // it never ends, as where six others hold all connections
      await page.route("**/health", () => {});
      await page.evaluate(`new MutationObserver(() => {
      globalThis.wasLost = true;
    }).observe(document.querySelector("#state"), { childList: true })`);
    }
    const before = await said();
    await pages[0]?.waitForTimeout(40_000); // a look, its answer and the reply are due after 25 s
    expect(await said()).toEqual(before);
    for (const page of pages) {
      expect(await page.evaluate("globalThis.wasLost ?? false")).toBe(false);
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await page.close();
    }
  },
  slow(120_000),
);

test("who has lost the keyboard reads that nobody types any more, and takes it again", async ({
  machine,
}) => {
  await startEcho(machine, "shared");
  const url = `${server.url}/console/serial?name=shared`;
  const page = await opened(url);
  await says(page, "Connected to shared");
  const other = await opened(url);
  await other.locator("#force").click();
  await says(other, "Connected to shared");
  await says(page, "Somebody else types now; this page watches");
  await other.close();
  await says(page, "Nobody types any more; this page watches");
  await picture(page, "console-free");
  await page.locator("#force").click();
  await says(page, "Connected to shared");
  await types(page, "shared", "again");
  await page.close();
});

test("a guest's question to the terminal is answered, unless it was written before", async ({
  machine,
}) => {
  await startEcho(machine, "asks");
  const page = await browser.newPage();
  const answers: string[] = [];
  let connections = 0;
  await page.routeWebSocket(/console\/serial/, (socket) => {
    const isFirst = connections++ === 0;
    socket.onMessage((data) => {
      if (typeof data !== "string") answers.push(`${data}`);
      else if (JSON.parse(data).type === "ping") socket.send(JSON.stringify({ type: "pong" }));
    });
    if (!isFirst) socket.send(JSON.stringify({ type: "kept" }));
    socket.send(Buffer.from("before \x1b[6n"));
    if (!isFirst) socket.send(Buffer.from("\r\nnow \x1b[6n"));
    setTimeout(() => void socket.close({ code: 1000, reason: "the console has ended" }), 1000);
  });
  await page.goto(`${server.url}/console/serial?name=asks`);
  await until("both have asked", () => answers.length === 2, 60);
  expect(answers).toEqual(["\x1b[1;8R", "\x1b[2;5R"]);
  await page.close();
});

test("what goes wrong is told in sentences, without the words for programs", async ({
  machine,
}) => {
  await startEcho(machine, "off");
  await virsh("destroy", "off");
  for (const kind of ["serial", "vnc"]) {
    const page = await opened(`${server.url}/console/${kind}?name=off`);
    await says(page, /^Domain off is not running – connecting again …$/);
    await picture(page, `console-off-${kind}`);
    await page.close();
    const other = await opened(`${server.url}/console/${kind}?name=nobody`);
    await says(other, /^[A-Z].*nobody/);
    await picture(other, `console-nobody-${kind}`);
    await other.close();
  }
  complaints.splice(0); // of the answers 404 to the tickets
});

/** A serial line tells a guest no size: it sends the cursor to a far corner, and asks the terminal where that is. */
const ASK = `s() { stty raw -echo min 20 time 10; printf '\\033[999;999H\\033[6n'; a=$(dd bs=20 count=1 2>/dev/null); stty sane; a=\${a#*[}; a=\${a%R*}; stty rows \${a%;*} cols \${a#*;}; clear; echo size $(stty size).; }`;

test("a shell at the serial page: a window of another size is seen by stty and top", {
  timeout: slow(240_000),
}, async () => {
  await define(await tinyGuestXml({ name: "shell", cmdline: "rdinit=/bin/busybox -- sh" }));
  await virsh("start", "shell");
  const page = await opened(`${server.url}/console/serial?name=shell`);
  await says(page, "Connected to shell");
  const shown = () => page.locator(".xterm-rows").innerText();
  const run = async (line: string) => {
    await until("the shell waits", async () => /# *$/.test((await shown()).trimEnd()), 60);
    await page.keyboard.insertText(line);
    await page.keyboard.press("Enter");
  };
  const rows = () => page.locator(".xterm-rows > div").count();
  const size = async () => {
    let found: RegExpExecArray | null = null;
    const look = async () => {
      found = /size (\d+) (\d+)\./.exec(await shown());
      return Number(found?.[1]) === (await rows());
    };
    // BusyBox's shell asks for the cursor's place at each prompt: a late answer to that may come in the place of ours
    const ask = async () => {
      await run("s");
      return until("the guest knows the window's rows", look, 5).then(
        () => true,
        () => false,
      );
    };
    await until("the guest knows the window's rows when it has asked some times", ask, 60);
    return (found as unknown as string[]).slice(1).map(Number) as [number, number];
  };
  await until("there is a shell", async () => (await shown()).includes("#"), 120);
  const tools = ["mkdir -p /proc", "mount -t proc proc /proc", "--install -s /bin"];
  for (const line of [...tools.map((one) => `busybox ${one}`), ASK]) await run(line);
  const [, columns] = await size();
  const before = await rows();
  await page.setViewportSize({ width: 700, height: 350 });
  await until("there are fewer rows", async () => (await rows()) < before);
  const [less, fewer] = await size();
  expect([less < before, fewer < columns]).toEqual([true, true]);
  await run("top -d 1");
  const tops = async () => {
    const lines = (await shown()).split("\n").map((line) => line.trimEnd());
    return /^Mem: /.test(lines[0] ?? "") && lines.some((line) => /COMMAND/.test(line));
  };
  await until("top fills the window from its first row", tops, 60);
  await page.close();
  await virsh("destroy", "shell");
  await virsh("undefine", "shell");
});

test("what a hostile guest writes changes the page in no other way", async ({ machine }) => {
  await startEcho(machine, "hostile");
  const page = await opened(`${server.url}/console/serial?name=hostile&view=1`);
  await says(page, "Watching hostile");
  const dialogs: string[] = [];
  page.on("dialog", (one) => void dialogs.push(one.message()));
  const [title, url] = [await page.title(), page.url()];
  const typist = await openSocket(server.url, "/console/serial?name=hostile");
  const sequences = [
    ...[
      "\x1b]0;owned\x07",
      "\x1b]2;owned\x07",
      "\x1b]52;c;b3duZWQ=\x07",
      "\x1b[21t",
      "\x1b[6n",
      "\x1b[c",
    ],
    ...[
      "\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07",
      "<img src=x onerror=alert(1)>",
      "end of it",
    ],
  ];
  await until(
    "the guest has written all of it",
    async () => {
      typist.send(sequences.join(""));
      await page.waitForTimeout(500);
      return (await page.locator(".xterm-rows").innerText()).includes("end of it");
    },
    60,
  );
  expect([await page.title(), page.url(), dialogs]).toEqual([title, url, []]);
  expect(await page.locator(".xterm-rows img").count()).toBe(0);
  // a watcher's terminal answers no question of the guest
  expect(serial("hostile")).not.toMatch(/\[\d+;\d+R|\[\?[\d;]+c|\]l/);
  typist.socket.close();
  await page.close();
});

test("a screen with a password: it is asked for, a wrong one is refused, the right one opens it", async ({
  machine,
}) => {
  const graphics = xml`<graphics type="vnc" port="-1" autoport="yes" listen="127.0.0.1" passwd="s3cret"/>`;
  await startEcho(machine, "locked", { graphics });
  for (const view of ["", "&view=1"]) {
    const page = await opened(`${server.url}/console/vnc?name=locked${view}`);
    const answer = async (password: string) => {
      await page.locator("#answer").fill(password);
      await page.locator("#ask button[value=ok]").click();
    };
    await answer("wrong");
    await says(page, /^(Authentication failed|The display wants)/);
    await page.locator("#reconnect").click();
    await answer("s3cret");
    await says(page, view ? "Watching locked" : "Connected to locked");
    await page.close();
    complaints.splice(0); // noVNC's of the wrong password
  }
  expect(server.log()).not.toContain("s3cret");
});

test("with tokens: a ticket opens the page, and a page whose token is revoked says so", async ({
  machine,
}) => {
  await startEcho(machine, "guarded");
  const token = await access.token("ci", { role: "operate" });
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const body = JSON.stringify({ name: "guarded", kind: "serial" });
  const answer = await server.get("/console/ticket", { method: "POST", headers, body });
  const page = await opened(`${server.url}${answer.body.data.page}`);
  await says(page, "Connected to guarded");
  await revokeToken("ci", access.tokens);
  await says(page, /token was revoked/);
  expect((await page.context().request.get(page.url())).status()).toBe(403); // the ticket was used
  complaints.splice(0); // of the answer 401 to the page's next ticket
  await page.close();
});
