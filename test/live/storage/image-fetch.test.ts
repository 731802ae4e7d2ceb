/** `image/fetch` on a real libvirtd: downloads, compressed or not, that break off, are refused, or are cut off. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { type ImageServer, serveImages } from "../../fixtures/image-server.ts";
import { digest, expectNothing, notes } from "../../fixtures/live/content.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { at, STATE, STORE, start } from "../../fixtures/live/machine.ts";
import { imageMakers, writeMarker } from "../../fixtures/live/naming-images.ts";
import { expectError, expectSuccess, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer } from "../../server.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const FROM = "/run/image-fetch";
const MARKER = "/run/image-fetch-marker";
const CONFIG = "/run/image-fetch.toml";
const files: Record<string, Uint8Array> = {};
let images: ImageServer;

const { test, server } = labTest({
  start: () => start(undefined, { HYPERSDK_CONFIG: CONFIG }),
  tidy: tidy,
});

async function tidy() {
  for (const name of readdirSync(STORE)) rmSync(join(STORE, name), { recursive: true });
  await virsh("pool-refresh", "default");
}
beforeAll(async () => {
  mkdirSync(FROM);
  const script = `cd ${FROM}; head -c 2M /dev/urandom >raw; truncate -s 5M raw
    head -c 1000000 /dev/urandom >>raw; truncate -s 8M raw
    qemu-img convert -q -O qcow2 raw qcow2; qemu-img convert -q -O vmdk -o subformat=streamOptimized raw vmdk
    xz -k raw qcow2; gzip -k raw qcow2; bzip2 -k raw; zstd -q raw; tar czf archive.tgz raw
    qemu-img create -q -f qcow2 -F raw -b ${FROM}/raw overlay; gzip overlay; head -c 200000 raw.gz >cut.gz
    head -c 64M /dev/zero | gzip >zeros; for i in $(seq 32); do cat zeros; done >bomb.gz`;
  await run("sh", ["-euc", script]);
  for (const name of readdirSync(FROM)) files[name] = readFileSync(join(FROM, name));
  writeMarker(MARKER, "the marker\n");
  const makers = imageMakers(join(FROM, "templates"));
  for (const [kind, make] of Object.entries(makers))
    files[`hostile ${kind}`] = make(MARKER) as Buffer;
  files.html = files["page.qcow2"] = Buffer.from("<html>Please sign in.</html>");
  files.small = Buffer.alloc(1024);
  files.slow = randomBytes(64 * MIB);
  images = await serveImages(files);
  const port = images.host.split(":")[1];
  writeFileSync(CONFIG, `[images]\nhosts = ["${images.host}", "localhost:${port}"]\n`);
});
afterAll(async () => {
  await images.close();
  for (const path of [FROM, MARKER, CONFIG]) rmSync(path, { recursive: true });
});

const fetchImage = (path: string, more: object = {}, to = server) =>
  to.post("/libvirt/image/fetch", {
    url: encodeURI(`${images.url}${path}`),
    name: "v",
    ...more,
  });
const compare = (format: string) =>
  run("qemu-img", ["compare", "-f", "raw", "-F", format, join(FROM, "raw"), at("v")]);

describe("a volume of a download", () => {
  test.for([
    ["raw", "raw", null],
    ["qcow2", "qcow2", null],
    ["vmdk", "vmdk", null],
    ["raw.xz", "raw", "xz"],
    ["qcow2.xz", "qcow2", "xz"],
    ["raw.gz", "raw", "gzip"],
    ["qcow2.gz", "qcow2", "gzip"],
    ["raw.bz2", "raw", "bzip2"],
    ["raw.zst", "raw", "zstd"],
  ] as const)("%s", async ([name, format, compression]) => {
    const sha256 = digest(files[name] as Uint8Array);
    const data = expectSuccess(await fetchImage(`/${name}`, { sha256 }), 201);
    expect(data).toEqual({
      ...{ pool: "default", name: "v", path: at("v"), type: "file", format, source_format: format },
      ...{ capacity_bytes: 8 * MIB, allocation_bytes: expect.any(Number), encrypted: false },
      ...{ backing: null, compression, sha256 },
    });
    await compare(format);
    const { mode, uid, blocks } = statSync(at("v"));
    expect([mode & 0o777, uid, blocks * 512 < 5 * MIB]).toEqual([0o600, 0, true]);
    await expectNothing(STORE, "default", ["v"]);
    expect(notes(STATE)).toEqual([]);
  });

  test("in another format, larger, and of SHA-512", async () => {
    const { stdout } = await run("sha512sum", [join(FROM, "raw.xz")]);
    const more = { format: "qcow2", capacity: "20MiB", sha512: stdout.split(" ")[0] };
    const data = expectSuccess(await fetchImage("/raw.xz", more), 201);
    expect(data).toMatchObject({ format: "qcow2", capacity_bytes: 20 * MIB });
    await run("qemu-img", ["check", "-q", at("v")]);
  });

  test.for(["/cut/1000000/raw", "/whole/1000000/raw", "/chunked/raw", "/chunks/3000000/raw"])(
    "though the connection breaks off: %s",
    { timeout: slow(120_000) },
    async (path) => {
      const sha256 = digest(files.raw as Uint8Array);
      expectSuccess(await fetchImage(path, { sha256 }), 201);
      expect(readFileSync(at("v")).equals(files.raw as Buffer)).toBe(true);
    },
  );

  test("as a job, which tells how far it is by the bytes", { timeout: slow(120_000) }, async () => {
    const input = { url: `${images.url}/slow/slow`, name: "v" };
    const job = await server.post("/jobs/submit", { function: "/libvirt/image/fetch", input });
    expect([job.status, job.body.error]).toEqual([202, undefined]);
    const [id] = job.body.job_ids;
    const seen: { percent: number; bytes: number; total: number; phase: string }[] = [];
    const look = async () => {
      const { data } = (await server.get(`/jobs/${id}`)).body;
      if (data.progress.percent !== null) seen.push(data.progress);
      return seen.some(({ percent }) => percent > 10) || /completed|failed/.test(data.state);
    };
    await until("a tenth is done", look, 60);
    const last = seen.at(-1);
    expect(last?.phase).toBe("downloading");
    expect(seen.map(({ percent }) => percent)).toEqual(
      seen.map(({ percent }) => percent).toSorted((a, b) => a - b),
    );
    await server.post("/jobs/cancel", { job_ids: [id] });
    const ended = async () => (await server.get(`/jobs/${id}`)).body.data.state === "cancelled";
    await until("it is cancelled", ended, 30);
    await expectNothing();
  });
});

test("a small raw image is made, with a remark; a page too where raw is said", async () => {
  const answer = await fetchImage("/small");
  expectSuccess(answer, 201);
  expect(answer.body.message).toMatch(/; it has only 1024 bytes, so make sure that the source is/);
  const wanted = { name: "page", source_format: "raw" };
  expectSuccess(await fetchImage("/page.qcow2", wanted), 201);
});

describe("refused, and nothing is left", () => {
  test.for([
    ["/none", {}, "invalid_input", /^url: .* answers 404: there is no such file/],
    ["/status/500", {}, "command_failed", /^url: .* answers 500$/],
    ["/loop", {}, "invalid_input", /^url: redirects more than 5 times/],
    ["/raw", { sha256: "0".repeat(64) }, "invalid_input", /^sha256: that of the download is/],
    ["/raw", { sha512: "0".repeat(128) }, "invalid_input", /^sha512: that of the download is/],
    ["/raw", { source_format: "qcow2" }, "invalid_input", /^url: the image is of format raw, not/],
    ["/raw", { capacity: "1MiB" }, "invalid_input", /^capacity: 1048576 bytes are less/],
    ["/html", {}, "invalid_input", /^url: the image is an HTML page and no disk image/],
    [
      "/page.qcow2",
      {},
      "invalid_input",
      /^url: the image is named \.qcow2, but has not the header/,
    ],
    ["/archive.tgz", {}, "invalid_input", /^url: the image is .*archive/],
    ["/overlay.gz", {}, "invalid_input", /^url: the image has a backing file/],
    ["/cut.gz", {}, "invalid_input", /^url: the image is a damaged gzip archive: .*unexpected end/],
    ["/bomb.gz", {}, "no_space", /^url: the image, once it is unpacked, is larger than the space/],
    ["/short/raw", {}, "invalid_input", /^url: .* broke off after 8388608 bytes/],
    ["/changed/1000000/raw", {}, "invalid_input", /and has another file there by now/],
    ["/untagged/1000000/raw", {}, "invalid_input", /and tells neither ETag nor Last-Modified/],
  ] as const)("%s %j", { timeout: slow(180_000) }, async ([path, more, code, why], { pool }) => {
    const folder = await pool("small", "48m"); // a bomb is measured by the space that there is
    const answer = await fetchImage(path, { pool: "small", ...more });
    expectError(answer, code === "invalid_input" ? 400 : 500, code, why);
    await expectNothing(folder, "small");
    expect(notes(STATE)).toEqual([]);
  });

  test("every image that names another file", { timeout: slow(300_000) }, async () => {
    for (const kind of Object.keys(files).filter((name) => /^hostile (?!DMG)/.test(name))) {
      files["hostile.gz"] = gzipSync(files[kind] as Uint8Array);
      for (const name of [kind, "hostile.gz"]) {
        const answer = await fetchImage(`/${name}`);
        expect.soft(answer.status, `${kind} ${JSON.stringify(answer.body)}`).toBe(400);
        expect.soft(answer.body.error, kind).toMatch(/^url: the image /);
      }
      await expectNothing();
    }
  });

  test("other hosts, other networks, redirects to them, other schemes", async () => {
    const port = images.host.split(":")[1];
    for (const [url, why] of [
      [
        "http://example.org/a",
        /^url: host example.org is not in \[images\] hosts, which lists 127/,
      ],
      [`http://127.0.0.2:${port}/raw`, /^url: host 127.0.0.2:\d+ is not in \[images\] hosts/],
      [`http://[::1]:${port}/raw`, /^url: host \[::1\]:\d+ is not in/],
      [`http://localhost:${port}/raw`, /^url: host localhost has a private address/],
      [`${images.url}/to/x?http://127.0.0.2/a`, /^url: redirects, and: host 127.0.0.2 is not in/],
      [`${images.url}/to/x?http://localhost:${port}/raw`, /^url: host localhost has a private/],
      [`${images.url}/to/x?file:///etc/passwd`, /^url: redirects to another URL, which must be/],
      ["file:///etc/passwd", /^url: must be a URL that begins with http/],
      ["http://me:secret@example.org/a", /^url: must not hold a user or a password/],
    ] as const)
      expectError(await fetchImage("", { url }), 400, "invalid_input", why);
    await expectNothing();
  });

  test("no host is allowed unless the settings say so", async () => {
    const other = await startServer();
    const answer = await fetchImage("/raw", {}, other);
    expectError(
      answer,
      400,
      "invalid_input",
      /hypersdk\.toml allows it by: \[images\] hosts = \["127/,
    );
    await other.stop();
  });

  test("a volume that is there, before a byte is asked for", async () => {
    await virsh("vol-create-as", "default", "v", "1M");
    const before = images.asked.length;
    expectError(await fetchImage("/raw"), 500, "already_exists", /^name: v is in pool/);
    expectError(await fetchImage("/raw", { pool: "none" }), 404, "not_found", /none/);
    expectError(await fetchImage("/raw", { name: "a/b" }), 400, "invalid_input", /^name: /);
    expect(images.asked).toHaveLength(before);
  });

  test("more than there is room for: told beforehand, found out, or when it is unpacked", async ({
    pool,
  }) => {
    const folder = await pool("small", "6m");
    const to = { pool: "small" };
    const told = await fetchImage("/slow", to);
    expectError(told, 500, "no_space", /^url: 67108864 bytes do not fit into \/run\/small, where /);
    const found = await fetchImage("/chunked/slow", to);
    expectError(found, 500, "no_space", /^url: writing the image.*No space left on device/);
    const unpacked = await fetchImage("/raw.xz", to);
    expectError(unpacked, 500, "no_space", /^url: the image, once it is unpacked, is larger/);
    await expectNothing(folder, "small");
    expect(notes(STATE)).toEqual([]);
  });
});

describe("cut off", () => {
  test("by the caller", async () => {
    const caller = new AbortController();
    const init = { signal: caller.signal };
    const input = { url: `${images.url}/slow/slow`, name: "v" };
    const call = server.post("/libvirt/image/fetch", input, init).catch(() => "gone");
    await until("bytes arrive", () => readdirSync(STORE).length > 0, 30);
    caller.abort();
    expect(await call).toBe("gone");
    await until("nothing is left", () => readdirSync(STORE).length === 0, 30);
    await until("the journal is removed", () => notes(STATE).length === 0, 30);
    await expectNothing();
  });

  test("by the end of the server, while it comes, and while it is unpacked", async () => {
    for (const path of ["/slow/slow", "/bomb.gz"]) {
      const state = `${STATE}-fetch`;
      const env = { XDG_STATE_HOME: state, HYPERSDK_CONFIG: CONFIG };
      mkdirSync(state, { mode: 0o755 });
      const other = await startServer(env);
      const call = fetchImage(path, {}, other).catch(() => undefined);
      const name = path === "/bomb.gz" ? "whole" : "image";
      const isThere = () =>
        readdirSync(STORE, { recursive: true }).some((file) => `${file}`.endsWith(`/${name}`));
      await until(`${name} is written`, isThere, 60);
      process.kill(other.pid, "SIGKILL");
      await call;
      await other.stop();
      await until("the folder is gone", () => readdirSync(STORE).length === 0, slow(120));
      const next = await startServer(env);
      expect(JSON.stringify((await next.get("/status")).body)).not.toContain(
        "download of an image",
      );
      await next.stop();
      await expectNothing();
      rmSync(state, { recursive: true });
    }
  });
});
