/** GET /events of a real server, whose virsh tells what the tests want. */
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { createClient } from "../../../runtime/client/client.ts";
import type { FleetEvent } from "../../../runtime/client/types.ts";
import { LAUNCHER } from "../../cli.ts";
import { bearing, type Guarded, guarded } from "../../fixtures/access.ts";
import { eventTeller, type Teller } from "../../fixtures/event-teller.ts";
import { until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";
import { startServer, type TestServer } from "../../server.ts";

vi.setConfig({ testTimeout: slow(60_000), hookTimeout: slow(60_000) });

let teller: Teller;
let access: Guarded;
let server: TestServer;
let state: string;
let admin: string;
const ends: (() => void)[] = [];

beforeAll(async () => {
  teller = eventTeller();
  state = folderOf(me());
  access = guarded('hosts.local.uri = "qemu:///system"');
  admin = await access.token("admin", { role: "admin" });
  server = await startServer({
    ...access.env,
    PATH: `${teller.folder}:${process.env.PATH}`,
    XDG_STATE_HOME: state,
    LIBVIRT_DEFAULT_URI: "",
  });
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
afterAll(async () => {
  await server.stop();
  teller.remove();
  access.remove();
  rmSync(state, { recursive: true, force: true });
});

/** Collects what one connection hears; resolves once it hears of the hypervisor. */
async function listen(query = "kind=domain", token = admin, headers: Record<string, string> = {}) {
  const stop = new AbortController();
  ends.push(() => stop.abort());
  const heard: FleetEvent[] = [];
  const frames: string[] = [];
  const response = await fetch(`${server.url}/events?${query}`, {
    headers: { ...bearing(token).headers, ...headers },
    signal: stop.signal,
  });
  expect(response.status).toBe(200);
  const read = async () => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
      const parts = (text + decoder.decode(bytes, { stream: true })).split("\n\n");
      text = parts.pop() ?? "";
      for (const frame of parts.filter((one) => one.includes("data: "))) {
        frames.push(frame);
        heard.push(JSON.parse(`${/^data: (.*)$/m.exec(frame)?.[1]}`));
      }
    }
  };
  const ended = read().catch(() => {});
  return { heard, frames, ended, stop: () => stop.abort() };
}

const names = (heard: FleetEvent[]) =>
  heard.filter(({ kind }) => kind === "domain").map(({ object }) => object);
const isResync = ({ kind, event }: FleetEvent) => kind === "stream" && event === "resync";

test("the first event says from when on nothing is missed; then each comes with its name and ID", async () => {
  const { heard, frames } = await listen();
  await until(() => heard.some(isResync));
  expect(heard).toMatchObject([
    {
      kind: "stream",
      event: "resync",
      host: "local",
      read: ["/libvirt/domains", "/libvirt/snapshots", "/hosts"],
    },
  ]);
  teller.lifecycle("it's: 机器");
  await until(() => names(heard).length === 1);
  expect(heard.at(-1)).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{8}-\d+$/),
    time: "2026-11-23T09:47:00.311Z",
    host: "local",
    kind: "domain",
    object: "it's: 机器",
    event: "lifecycle",
    action: "started",
    reason: "booted",
    detail: "Started Booted",
  });
  expect(frames[0]).toMatch(/^event: resync\ndata: \{.*\}\nid: \S+$/);
  expect(frames.at(-1)).toMatch(/^event: domain\ndata: \{.*\}\nid: \S+$/);
});

test("filters, and any number of listeners on one session", async () => {
  const all = await listen();
  const some = await listen("kind=domain&name=a&name=b&event=stopped&host=local");
  const none = await listen("kind=network");
  await until(() => [all, some, none].every(({ heard }) => heard.some(isResync)));
  for (const name of ["a", "b", "c"])
    for (const detail of ["Started Booted", "Stopped Crashed"]) teller.lifecycle(name, detail);
  await until(() => names(all.heard).length === 6);
  await until(() => names(some.heard).length === 2);
  expect(names(some.heard)).toEqual(["a", "b"]);
  expect(none.heard.filter((one) => !isResync(one))).toEqual([]);
  expect(teller.pids()).toHaveLength(1);
});

test("a listener goes on after an ID, by a header or a field, and an ID of another start gets a resync", async () => {
  const before = await listen();
  await until(() => before.heard.some(isResync));
  teller.lifecycle("first");
  await until(() => names(before.heard).includes("first"));
  const id = `${before.heard.at(-1)?.id}`;
  before.stop();
  const watching = await listen();
  teller.lifecycle("second");
  await until(() => names(watching.heard).includes("second"));
  const header = await listen("kind=domain&last_event_id=00000000-1", admin, {
    "Last-Event-ID": id,
  });
  const field = await listen(`kind=domain&last_event_id=${id}`);
  const foreign = await listen("kind=domain", admin, { "Last-Event-ID": "00000000-7" });
  teller.lifecycle("third");
  for (const { heard } of [header, field]) {
    await until(() => names(heard).length === 2);
    expect(heard.map(({ object }) => object)).toEqual(["second", "third"]);
  }
  await until(() => names(foreign.heard).length === 1);
  expect(foreign.heard.map(({ event }) => event)).toEqual(["resync", "lifecycle"]);
});

test("a token hears of its own domains and hypervisors alone, and not who has called", async () => {
  const mine = await access.token("web", { role: "read", domains: ["web-*"] });
  const reader = await access.token("reader", { role: "read" });
  const elsewhere = await access.token("other", { role: "read", hosts: ["kvm9"] });
  const kinds = "kind=domain&kind=pool&kind=call";
  const [web, reads, other, all] = await Promise.all([
    listen(kinds, mine),
    listen(kinds, reader),
    listen(kinds, elsewhere),
    listen(kinds),
  ]);
  await until(() => [web, reads, all].every(({ heard }) => heard.some(isResync)));
  teller.lifecycle("db-1");
  teller.lifecycle("web-1");
  for (const name of ["db-1", "web-1"])
    await server.post(
      "/libvirt/domain/start",
      { name },
      {
        headers: { ...bearing(admin).headers, "Content-Type": "application/json" },
        body: JSON.stringify({ name }),
      },
    );
  const calls = (heard: FleetEvent[]) => heard.flatMap((one) => (one.kind === "call" ? one : []));
  await until(() => calls(all.heard).length === 2);
  await until(() => calls(reads.heard).length === 2 && calls(web.heard).length === 1);
  expect(names(web.heard)).toEqual(["web-1"]);
  expect(names(reads.heard)).toEqual(["db-1", "web-1"]);
  const [call] = calls(web.heard);
  expect(call).toMatchObject({
    object: "/libvirt/domain/start",
    host: "local",
    domains: ["web-1"],
  });
  for (const one of [...calls(web.heard), ...calls(reads.heard)]) expect(one.who).toBeUndefined();
  const fingerprint = expect.stringMatching(/^[0-9a-f]{16}$/);
  expect(calls(all.heard)[0]?.who).toEqual({ kind: "token", name: "admin", fingerprint });
  expect(other.heard).toEqual([]);
  const refused = await server.get("/events?host=kvm9", bearing(mine));
  expect(refused.status).toBe(400);
});

test("what is asked wrongly is refused with the field's name", async () => {
  for (const [query, text] of [
    ["kind=nothing", /kind/],
    ["host=kvm9", /host: unknown hypervisor/],
    ["knd=domain", /knd/],
    [
      "kind=domain&name=4dea22b3-1d52-d8f3-2516-782e98ab3fa0",
      /name: must be names: only events of secrets have UUIDs/,
    ],
  ] as const) {
    const answer = await server.get(`/events?${query}`, bearing(admin));
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatch(text);
  }
});

test("the loss of the session is told, and what to read again once it is back", async () => {
  const { heard } = await listen();
  await until(() => heard.some(isResync));
  const told = teller.pids().length;
  process.kill(Number(teller.pids().at(-1)), "SIGKILL");
  await until(() => heard.filter(isResync).length === 2, "a second resync", 10_000);
  expect(heard.slice(1).map(({ kind, event }) => `${kind} ${event}`)).toEqual(["stream resync"]);
  expect(teller.pids()).toHaveLength(told + 1);
  teller.lifecycle("after");
  await until(() => names(heard).includes("after"));
  const both = await listen("kind=hypervisor");
  await until(() => both.heard.some(isResync));
  process.kill(Number(teller.pids().at(-1)), "SIGKILL");
  await until(() => both.heard.filter(isResync).length === 2, "a resync", 10_000);
  expect(both.heard.slice(1)).toMatchObject([
    { kind: "hypervisor", event: "lost", object: "local" },
    { kind: "hypervisor", event: "found", object: "local" },
    { kind: "stream", event: "resync" },
  ]);
});

/** A connection that asks, and reads nothing until it is told to. */
async function frozen(): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  ends.push(() => socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.pause();
  socket.write(
    `GET /events?kind=domain HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${admin}\r\n\r\n`,
  );
  return socket;
}

test("what virsh tells while it begins to listen comes after the resync, before which something is missing", async () => {
  const { heard } = await listen();
  await until(() => heard.some(isResync));
  const seen = heard.length;
  teller.early("soon");
  process.kill(teller.pids().at(-1) as number, "SIGKILL");
  await until(() => names(heard).includes("soon"), "it is heard", 10_000);
  const later = heard.slice(seen).map(({ kind, event }) => `${kind} ${event}`);
  expect(later).toEqual(["stream resync", "domain lifecycle"]);
});

test("a listener that does not read is cut off with a reason, and the others hear everything", async () => {
  const reading = await listen();
  const socket = await frozen();
  await until(() => reading.heard.some(isResync));
  const count = 40_000;
  const pad = "x".repeat(200);
  for (let n = 0; n < count; n += 100) {
    const lines = Array.from(
      { length: 100 },
      (_, i) =>
        `2026-11-23 09:47:00.311+0000: event 'lifecycle' for domain '${pad}${n + i}': Started Booted\n`,
    );
    for (let i = 0; i < 100; i += 10) teller.print(lines.slice(i, i + 10).join(""));
    await until(() => names(reading.heard).length >= n + 100 - 5000, "it reads on", 30_000);
  }
  await until(() => names(reading.heard).length === count, "all of them", 60_000);
  expect(new Set(names(reading.heard)).size).toBe(count);
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  socket.resume();
  await until(() => text.includes("event: cut-off"), "it is cut off", 30_000);
  const [, cut = "{}"] = /event: cut-off\ndata: (.*)/.exec(text) ?? [];
  expect(JSON.parse(cut)).toMatchObject({
    detail: expect.stringMatching(/^the listener did not read for \d+ (events|s)$/),
  });
});

test("the typed client loops over events, and so does the command line", async () => {
  const stop = new AbortController();
  ends.push(() => stop.abort());
  const kvm = createClient(server.url, { token: admin });
  const heard: FleetEvent[] = [];
  const loop = (async () => {
    for await (const event of kvm.events({ kind: "domain" }, { signal: stop.signal })) {
      heard.push(event);
      if (event.object === "stop") break;
    }
  })();
  await until(() => heard.some(isResync));
  const words = ["events", "--server", server.url, "--token", admin, "--kind", "domain"];
  const cli = spawn(LAUNCHER, [...words, "--name", "x", "--after", `${heard[0]?.id}`, "--follow"]);
  ends.push(() => cli.kill());
  let printed = "";
  cli.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  teller.lifecycle("x");
  teller.lifecycle("stop");
  await loop;
  expect(names(heard)).toEqual(["x", "stop"]);
  await until(() => printed.endsWith("\n"), "the command line prints it", 20_000);
  expect(JSON.parse(printed)).toEqual(heard.find(({ object }) => object === "x"));
});

test("jobs are told with each state", async () => {
  const jobs = await listen("kind=job");
  const headers = { ...bearing(admin).headers, "Content-Type": "application/json" };
  const submit = async (name: string) => {
    const answer = await server.post(
      "/libvirt/domain/start",
      {},
      { headers: { ...headers, Prefer: "respond-async" }, body: JSON.stringify({ name }) },
    );
    expect(answer.status).toBe(202);
    return `${answer.body.data.id}`;
  };
  await submit("web-1"); // from then on there is a database
  await until(() => jobs.heard.some(isResync), "the jobs are heard", 30_000);
  const id = await submit("web-2");
  const states = () => jobs.heard.filter(({ object }) => object === id).map(({ event }) => event);
  await until(() => states().length === 1);
  const cancel = { headers, body: JSON.stringify({ job_ids: [id] }) };
  await server.post("/jobs/cancel", {}, cancel); // its hypervisor answers nothing, so it does not begin
  await until(() => states().length === 2, "it is cancelled", 30_000);
  expect(states()).toEqual(["queued", "cancelled"]);
  expect(jobs.heard.find(({ object }) => object === id)).toMatchObject({
    ...{ kind: "job", host: "local", function: "/libvirt/domain/start", domains: ["web-2"] },
    who: { kind: "token", name: "admin" },
  });
});
