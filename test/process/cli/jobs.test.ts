/** `hypersdk call --async`, `jobs` and `job`, of a server with one job. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { hypersdk, LAUNCHER, onTerminal } from "../../cli.ts";
import {
  completed,
  failed,
  ID,
  type JobServer,
  running,
  serveJob,
} from "../../fixtures/job-server.ts";
import { slow } from "../../fixtures/slowness.ts";

vi.setConfig({ testTimeout: slow(60_000) });

let server: JobServer;
afterEach(() => server.stop());

const serving = (...looks: JobServer["looks"]) => {
  server = serveJob(looks);
};
const run = (...args: string[]) => hypersdk([...args, "--server", server.url, "--token", "t"]);
const terminal = (args: string[], columns?: number) =>
  onTerminal([LAUNCHER, ...args, "--server", server.url], {}, columns);
/** What is left on the screen of lines that were drawn again and again. */
const lastLines = (screen: string) => screen.split("\r\x1b[K").at(-1)?.replaceAll("\r", "");

describe("call --async", () => {
  const words = ["call", "libvirt/clone", "source=base", "target=web-1", "--async"];

  test("submits the call and prints the job's ID", async () => {
    serving({});
    const { code, stdout, stderr } = await run(...words, "--idempotency-key", "k1");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({ id: ID });
    const [{ path, headers } = {} as never] = server.seen;
    expect([path, headers.get("Prefer"), headers.get("Idempotency-Key")]).toEqual([
      ...["/libvirt/clone", "respond-async", "k1"],
    ]);
    const shown = terminal(words);
    expect(await shown.ended).toBe(0);
    expect(shown.screen()).toBe(`${ID}\r\nhypersdk: hypersdk job ${ID} follows it\r\n`);
  });

  test.each(["libvirt/networks", "jobs/query"])("%s is refused: it only reads", async (name) => {
    serving({});
    expect(await run("call", name, "--async")).toMatchObject({
      ...{ code: 2, stdout: "" },
      stderr: `hypersdk: --async: ${name} only reads, so it is no job\n`,
    });
    expect(server.seen).toEqual([]);
  });
});

describe("jobs", () => {
  test("lists what the filters find", async () => {
    serving(running(41.7));
    const filters = ["--state", "running", "--state", "queued", "--function", "libvirt/clone"];
    const { code, stdout } = await run("jobs", ...filters, "--host", "kvm1", "--limit", "5");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ jobs: [{ id: ID }], total: 9 });
    expect(server.seen.at(-1)).toMatchObject({
      path: "/jobs/query",
      query: { status: "queued", function: "/libvirt/clone", hosts: "kvm1", limit: "5" },
    });
    expect(await run("jobs", "--state", "ill")).toMatchObject({ code: 2 });
    expect(await run("jobs", "--limit", "0")).toMatchObject({ code: 2 });
  });

  test("as a table, with the columns that the terminal has room for", async () => {
    serving(running(41.7));
    const wide = terminal(["jobs"], 160);
    expect(await wide.ended).toBe(0);
    expect(wide.screen()).toMatch(/^ID +STATE +DONE +FUNCTION +HOST +AGE +DOMAINS +WHO\r\n/);
    expect(wide.screen()).toMatch(/running +41 % +libvirt\/clone +kvm1 .* base, web-1 +ci\r\n/);
    expect(wide.screen()).toContain("1 of 9 jobs");
    const narrow = terminal(["jobs"], 60);
    expect(await narrow.ended).toBe(0);
    expect(narrow.screen()).toMatch(/^ID +STATE +DONE\r\n/);
  });
});

describe("job", () => {
  test("in a pipe: the job as it is", async () => {
    serving(running(10));
    const { code, stdout } = await run("job", ID);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { id: ID, state: "running" }]);
  });

  test("--follow: its call's answer and exit status", async () => {
    serving({}, running(10), completed({ name: "web-1" }));
    const done = await run("job", ID, "--follow");
    expect([done.code, JSON.parse(done.stdout)]).toEqual([0, { name: "web-1" }]);
    server.looks = [{}, failed("no_space")];
    expect(await run("job", ID, "--follow")).toMatchObject({
      ...{ code: 1, stdout: "", stderr: "hypersdk: it is no_space (no_space)\n" },
    });
    server.looks = [{ ...completed({}), result: { total: 2, failed: 1 } }];
    expect(await run("job", ID, "--follow")).toMatchObject({ code: 1 }); // a batch
  });

  test("at a terminal: a bar, then the answer", async () => {
    serving({ waiting_for: "job 1, which works on domain kvm1/base" });
    const shown = terminal(["job", ID]);
    await shown.shows("waits for job 1, which works on domain kvm1/base");
    server.looks = [running(25)];
    await shown.shows("libvirt/clone: [#####---------------] 25 %");
    server.looks = [running(50)];
    await shown.shows(/50 % {2}\d+ s left {2}copying disk vda/);
    server.looks = [completed({ name: "web-1" })];
    expect(await shown.ended).toBe(0);
    expect(lastLines(shown.screen())).toBe("name  web-1\n\nweb-1 is a clone of base\n");
    const later = terminal(["job", ID]); // it has ended: nothing to follow
    expect(await later.ended).toBe(0);
    expect(later.screen()).toMatch(/^id +7f6d2c1e.*\r\n[\s\S]*state +completed\r\n/);
  });

  test("^C cancels it and waits for its end; a second one leaves it alone", async () => {
    serving(running(10));
    const shown = terminal(["job", ID]);
    await shown.shows("10 %");
    shown.type("\x03");
    expect(await shown.ended).toBe(1);
    expect(shown.screen()).toMatch(/hypersdk: it is cancelled \(cancelled\)\r\n$/);
    expect(server.seen.map(({ path }) => path)).toEqual(["/jobs/cancel"]);
    server.looks = [running(10)];
    const left = terminal(["job", ID]);
    await left.shows("10 %");
    left.type("\x03");
    await left.shows("Ctrl-C again leaves it alone");
    while (server.seen.length < 2) await sleep(5);
    server.looks = [{ ...running(10), state: "cancelling" }];
    left.type("\x03");
    expect(await left.ended).toBe(130);
    const told = terminal(["job", ID]);
    await told.shows("10 %");
    process.kill(told.pid, "SIGTERM");
    expect(await told.ended).toBe(143);
    expect(server.seen).toHaveLength(2); // it was not cancelled
  });

  test("--logs: its lines, and with --follow those that come", async () => {
    serving(running(10));
    const { code, stdout } = await run("job", ID, "--logs");
    const messages = (text: string) =>
      text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).message);
    expect([code, messages(stdout)]).toEqual([0, ["begins", "copies", "ends"]]);
    server.looks = [running(10), failed("no_space")];
    const ended = await run("job", ID, "--logs", "--follow");
    expect(messages(ended.stdout)).toEqual(["begins", "copies", "ends"]);
    expect(ended).toMatchObject({ code: 1, stderr: "hypersdk: it is no_space (no_space)\n" });
    server.looks = [completed({})];
    const shown = terminal(["job", ID, "--logs"]);
    expect(await shown.ended).toBe(0);
    expect(shown.screen()).toContain('info  copies  {"disk":"vda"}\r\n');
  });

  test("cancel: one or several", async () => {
    serving(running(10));
    const shown = terminal(["job", "cancel", ID]);
    expect(await shown.ended).toBe(0);
    expect(shown.screen()).toBe(`${ID} is cancelling: what it has made is removed\r\n`);
    const refused = terminal(["job", "cancel", "other", ID]);
    expect(await refused.ended).toBe(1);
    expect(refused.screen()).toBe("hypersdk: other: it has ended (not_active)\r\n");
    expect(server.seen.at(-1)?.body).toEqual({ job_ids: ["other", ID] });
    const { code, stdout } = await run("job", "cancel", "other");
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { failed: ["other"] }]);
  });
});
