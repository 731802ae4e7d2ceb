/** One function, many ways to call it: by HTTP, from a script, and from the command line, here or of a server. */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { HyperError } from "../../../runtime/core/errors.ts";
import { closeHypervisors } from "../../../runtime/hypervisor/registry.ts";
import { hypersdk, LAUNCHER, onTerminal } from "../../cli.ts";
import {
  clean,
  defineDomain,
  defineNetwork,
  freeze,
  netInfo,
  processes,
  thaw,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import {
  agreed as allAgree,
  cleanReads,
  functions,
  type Input,
  outcome,
  overHttp,
  prepareReads,
  reads,
  type Way,
  words,
} from "../../fixtures/live/ways.ts";
import { startServer, type TestServer } from "../../server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  if (server.uri) process.env.LIBVIRT_DEFAULT_URI = server.uri; // with test:remote, all ways go there
});
afterAll(async () => {
  await closeHypervisors();
  await server.stop();
});

const commandLine =
  (...options: string[]): Way =>
  async (path, input) =>
    outcome(await hypersdk(["call", path.slice(1), ...words(input), "--json", ...options]));

const ways: Record<string, Way> = {
  http: overHttp(() => server),
  async script(path, input) {
    const { one } = functions.find((known) => known.path === path) as (typeof functions)[0];
    return one(input).then(
      (data) => ({ data }),
      ({ code, message }: HyperError) => ({ error: { code, error: message } }),
    );
  },
  "command line": commandLine(),
  "command line, of the server": (path, input) => commandLine("--server", server.url)(path, input),
};

const agreed = (path: string, input: Input, between?: () => Promise<void>) =>
  allAgree(ways, path, input, between);

describe("every function that reads says the same in every way", () => {
  beforeAll(prepareReads);
  afterAll(cleanReads);

  test.each(reads)("%s", async (path, input) => {
    const { data } = await agreed(path, input);
    expect(data).toBeDefined();
  });

  test("and refuses the same", async () => {
    const refused = async (path: string, input: Input) => (await agreed(path, input)).error?.code;
    expect(await refused("/libvirt/network", { name: "nowhere" })).toBe("not_found");
    expect(await refused("/libvirt/console", { name: "off ü" })).toBe("not_active");
    expect(await refused("/libvirt/volume/info", { pool: "nowhere", volume: "x" })).toBe(
      "not_found",
    );
  });
});

describe("functions that change something do the same in every way", () => {
  afterEach(clean);

  test("a network: create, start, stop, delete", async () => {
    const input = { name: "lan", bridge: "virbr7", subnet: "192.168.77.1", autostart: true };
    const created = await agreed("/libvirt/network/create", input, async () => {
      expect(await netInfo("lan")).toMatchObject({ Bridge: "virbr7", Autostart: "yes" });
      await virsh("net-undefine", "lan");
    });
    expect(created.data).toMatchObject({
      name: "lan",
      ips: [{ address: "192.168.77.1", prefix: 24 }],
    });
    await defineNetwork("lan");
    await agreed("/libvirt/network/start", { name: "lan" }, async () => {
      expect(await netInfo("lan")).toMatchObject({ Active: "yes" });
      await virsh("net-destroy", "lan");
    });
    await agreed("/libvirt/network/delete", { name: "lan" }, async () => {
      expect(await netInfo("lan")).toBeUndefined();
      await defineNetwork("lan");
    });
    const again = await agreed("/libvirt/network/create", { name: "lan", forward: "none" });
    expect(again.error).toMatchObject({ code: "already_exists" });
  });

  test("a volume: numbers and booleans are what the schema wants", async () => {
    const input = { pool: "default", name: "made", capacity: 0.5, format: "raw", prealloc: false };
    const { data } = await agreed("/libvirt/volume/create", input, async () => {
      await virsh("vol-delete", "made", "--pool", "default");
    });
    expect(data).toMatchObject({ name: "made", format: "raw", capacity_bytes: 2 ** 29 });
  });

  test("a batch: a list of names, each with its own result", async () => {
    await defineDomain("one");
    const input = { domains: ["one", "nowhere"], paused: true };
    const { data } = await agreed("/libvirt/batch/start", input, async () => {
      expect((await virsh("domstate", "one")).trim()).toBe("paused");
      await virsh("destroy", "one");
    });
    expect(data).toMatchObject({ successful: 1, failed: 1 });
  });

  test("an interface", async () => {
    await defineNetwork("lan");
    await defineDomain("one");
    const { data } = await agreed("/libvirt/interface/attach", { vm_name: "one", network: "lan" });
    expect(data).toMatchObject({ vm_name: "one", network: "lan", model: "virtio" });
    expect((await virsh("domiflist", "one")).match(/lan/g)).toHaveLength(4);
  });
});

describe("on a terminal", () => {
  afterEach(clean);

  test("a call that takes long shows for how long, and ends with the answer", async () => {
    await defineDomain("deaf", { verb: "create" }); // nothing in it hears that it should end
    const args = ["call", "libvirt/batch/stop", "domains=deaf", "timeout=3"];
    const terminal = onTerminal([LAUNCHER, ...args]);
    await terminal.shows(/\] 0 % {2}[1-9] s/);
    await terminal.shows(/\] 0 % {2}[2-9] s/);
    expect(await terminal.ended).toBe(1);
    const last = terminal.screen().split("\r\x1b[K").at(-1);
    expect(last).toMatch(/^operation {3}stop\r\n[\s\S]*DOMAIN +SUCCESS +ERROR[\s\S]*deaf +no /);
    const piped = await hypersdk(args);
    expect(piped).toMatchObject({ code: 1, stderr: "" });
  });

  test("^C ends a read that hangs, and its virsh", async () => {
    const before = processes("virsh");
    freeze();
    try {
      const terminal = onTerminal([LAUNCHER, "call", "libvirt/networks"]);
      await terminal.shows(/libvirt\/networks: \d+ s/);
      terminal.type("\x03");
      expect(await terminal.ended).toBe(1);
      expect(terminal.screen()).toMatch(/\(cancelled\)\r\n$/);
      await until(
        "its virsh ends",
        () => processes("virsh").every((pid) => before.includes(pid)),
        20,
      );
    } finally {
      thaw();
    }
  });

  test("a second ^C ends a change that hangs, at once", async () => {
    await closeHypervisors();
    await defineNetwork("lan");
    freeze();
    try {
      const terminal = onTerminal([LAUNCHER, "call", "libvirt/network/start", "name=lan"]);
      await terminal.shows(/libvirt\/network\/start: \d+ s/);
      terminal.type("\x03");
      await terminal.shows("Ctrl-C again exits now");
      terminal.type("\x03");
      expect(await terminal.ended).toBe(130);
    } finally {
      thaw();
    }
  });
});

test("serve is the server, and ends with SIGTERM", async () => {
  const served = await startServer({}, [join(LAUNCHER, "../main.ts"), "serve"]);
  try {
    expect((await served.get("/libvirt/networks")).status).toBe(200);
  } finally {
    await served.stop();
  }
});

test("a call that is ended from outside leaves no virsh", async () => {
  freeze();
  const before = processes("virsh");
  const terminal = onTerminal([LAUNCHER, "call", "libvirt/networks"]);
  try {
    const asks = () => processes("virsh").some((pid) => !before.includes(pid));
    await until("it asks", asks);
    process.kill(terminal.pid, "SIGTERM");
    expect(await terminal.ended).toBe(143);
    await until("its virsh ends", () => !asks());
  } finally {
    thaw();
  }
});
