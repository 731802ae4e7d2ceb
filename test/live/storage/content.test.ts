/** `PUT` and `GET /libvirt/volume/content` on a real libvirtd: bytes in and out, what is refused, and what a cut leaves. */
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import {
  contentOf,
  digest,
  endless,
  expectNothing,
  inChunks,
  notes,
} from "../../fixtures/live/content.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { at, image, imageInfo, STATE, STORE, sh, start } from "../../fixtures/live/machine.ts";
import { imageMakers, type Makers, writeMarker } from "../../fixtures/live/naming-images.ts";
import { expectError, expectSuccess, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer } from "../../server.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const FROM = "/run/content";
const MARKER = "/run/content-marker";
const from = (name: string) => readFileSync(join(FROM, name));

const { test, server } = labTest({ start: () => start(), tidy });
const { put, get, cut } = contentOf(server);
let makers: Makers;

async function tidy() {
  for (const name of readdirSync(STORE)) rmSync(join(STORE, name), { recursive: true });
  await virsh("pool-refresh", "default");
}
beforeAll(async () => {
  mkdirSync(FROM);
  const script = `cd ${FROM}; head -c 2M /dev/urandom >raw; truncate -s 5M raw
    head -c 1000000 /dev/urandom >>raw; truncate -s 8M raw
    make() { out=$1 format=$2; shift 2; qemu-img convert -q -O $format "$@" raw $out; }
    make qcow2 qcow2; make compressed qcow2 -c; make v2 qcow2 -o compat=0.10,cluster_size=4096
    make vmdk vmdk -o subformat=streamOptimized; make vdi vdi; make vhdx vhdx; make vpc vpc
    qemu-img create -q -f qcow2 -F raw -b ${FROM}/raw overlay; xz -k raw`;
  await run("sh", ["-euc", script]);
  makers = imageMakers(join(FROM, "templates"));
  writeMarker(MARKER, "the marker\n");
});
afterAll(() => {
  for (const path of [FROM, MARKER]) rmSync(path, { recursive: true });
});

const compare = (format: string, volume: string) =>
  run("qemu-img", ["compare", "-f", "raw", "-F", format, join(FROM, "raw"), at(volume)]);

describe("in and out", () => {
  test.for([
    ["raw", "raw"],
    ["qcow2", "qcow2"],
    ["compressed", "qcow2"],
    ["v2", "qcow2"],
  ] as const)("%s: the very bytes", async ([name, format]) => {
    const bytes = from(name);
    const data = expectSuccess(await put("v", bytes, { sha256: digest(bytes) }), 201);
    expect(data).toEqual({
      ...{ pool: "default", name: "v", path: at("v"), type: "file", format, source_format: format },
      ...{ capacity_bytes: 8 * MIB, allocation_bytes: expect.any(Number) },
      ...{ encrypted: false, backing: null },
    });
    expect(readFileSync(at("v")).equals(bytes)).toBe(true);
    const { mode, uid, blocks } = statSync(at("v"));
    expect([mode & 0o777, uid, blocks * 512 < 5 * MIB]).toEqual([0o600, 0, true]);
    const xml = await virsh("vol-dumpxml", "--pool", "default", "v");
    expect(xml).toContain(`<capacity unit='bytes'>${8 * MIB}</capacity>`);
    const back = await get("v");
    expect([back.status, back.bytes.equals(bytes)]).toEqual([200, true]);
    expect(readdirSync(STORE)).toEqual(["v"]);
    expect(notes(STATE)).toEqual([]);
  });

  test.for([
    ["vmdk", "vmdk", "vmdk"],
    ["vdi", "vdi", "vdi"],
    ["vpc", "vpc", "vpc"],
    ["vhdx", "vhdx", "qcow2"],
  ] as const)("%s is converted, %s to %s", async ([name, source_format, format]) => {
    const data = expectSuccess(await put("v", from(name)), 201);
    expect(data).toMatchObject({ format, source_format });
    await compare(format, "v");
    expect(readdirSync(STORE)).toEqual(["v"]);
  });

  test.for(["raw", "qcow2", "vmdk", "vdi"])("to another format: %s", async (format) => {
    for (const name of ["raw", "qcow2", "vdi"]) {
      expectSuccess(await put(`v-${name}`, from(name), { format }), 201);
      await compare(format, `v-${name}`);
    }
  });

  test("chunks of unknown number, and a name of spaces and umlauts", async () => {
    const bytes = from("raw");
    const body = inChunks(bytes);
    expectSuccess(await put("ein Öl & mehr", body), 201);
    const { headers, bytes: back } = await get("ein Öl & mehr");
    expect(back.equals(bytes)).toBe(true);
    const name = "filename*=UTF-8''ein%20%C3%96l%20%26%20mehr";
    expect(headers.get("Content-Disposition")).toBe(`attachment; ${name}`);
  });

  test("a number of bytes that is none of sectors", async () => {
    const bytes = randomBytes(MIB + 1);
    const data = expectSuccess(await put("odd", bytes), 201);
    expect(data).toMatchObject({ format: "raw", capacity_bytes: MIB + 1 });
    expect((await get("odd")).bytes.equals(bytes)).toBe(true);
    const larger = await put("more", bytes, { capacity: "2MiB" });
    expect(expectSuccess(larger, 201)).toMatchObject({ capacity_bytes: 2 * MIB });
  });

  test("a single byte: with a remark", async () => {
    const answer = await put("byte", Buffer.from("x"));
    expectSuccess(answer, 201);
    expect(answer.body.message).toMatch(/; it has only \d+ bytes, so make sure that the source is/);
  });

  test("a larger capacity", async () => {
    for (const name of ["raw", "qcow2"]) {
      const answer = await put(`v-${name}`, from(name), { capacity: "20MiB" });
      expect(expectSuccess(answer, 201)).toMatchObject({ capacity_bytes: 20 * MIB });
      expect(await imageInfo(at(`v-${name}`))).toMatchObject({ "virtual-size": 20 * MIB });
    }
  });

  test("an overlay's bytes are its own", async () => {
    await sh(`cp ${FROM}/overlay v`);
    await virsh("pool-refresh", "default");
    expect((await get("v")).bytes.equals(from("overlay"))).toBe(true);
  });
});

describe("a part", () => {
  test.for([
    ["bytes=0-0", 0, 1],
    ["bytes=5-1048580", 5, 1_048_576],
    ["bytes=8388000-", 8_388_000, 608],
    ["bytes=8388000-99999999", 8_388_000, 608],
    ["bytes=-100", 8_388_508, 100],
    ["bytes=-99999999", 0, 8_388_608],
  ] as const)("%s", async ([Range, first, length]) => {
    const bytes = from("raw");
    writeFileSync(at("v"), bytes);
    await virsh("pool-refresh", "default");
    const part = await get("v", { Range });
    expect([part.status, part.headers.get("Content-Range")]).toEqual([
      206,
      `bytes ${first}-${first + length - 1}/${bytes.length}`,
    ]);
    expect(part.bytes.equals(bytes.subarray(first, first + length))).toBe(true);
  });

  test("HEAD tells the size, If-Range whether the bytes are still the same", async () => {
    expectSuccess(await put("v", from("raw")), 201);
    const head = await get("v", {}, "HEAD");
    expect(head.headers.get("Content-Length")).toBe(`${8 * MIB}`);
    const tag = `${head.headers.get("ETag")}`;
    const part = { Range: "bytes=0-9", "If-Range": tag };
    expect((await get("v", part)).status).toBe(206);
    await sh("printf x | dd of=v conv=notrunc status=none");
    expect((await get("v", part)).status).toBe(200);
  });

  test("beyond the end, several, or nonsense", async () => {
    expectSuccess(await put("v", from("raw")), 201);
    for (const [Range, status, why] of [
      ["bytes=8388608-", 416, /^Range: there are 8388608 bytes/],
      ["bytes=-0", 416, /^Range: /],
      ["bytes=0-1,5-6", 400, /^Range: must be one range/],
      ["bytes=9-3", 400, /^Range: ends before it begins/],
      ["bytes=x", 400, /^Range: must be/],
    ] as const) {
      const { headers, bytes, ...answer } = await get("v", { Range });
      expect([Range, answer.status]).toEqual([Range, status]);
      expect(JSON.parse(`${bytes}`).error).toMatch(why);
      expect(headers.get("Content-Range")).toBe(status === 416 ? "bytes */8388608" : null);
    }
    expect((await get("v", { Range: "lines=1-2" })).status).toBe(200);
  });
});

describe("refused, and nothing is left", () => {
  test("every image that names another file", { timeout: slow(300_000) }, async () => {
    for (const kind of Object.keys(makers).filter((kind) => kind !== "DMG")) {
      const answer = await put("v", makers[kind]?.(MARKER) as Buffer);
      expect.soft(answer.status, `${kind} ${JSON.stringify(answer.body)}`).toBe(400);
      expect.soft(answer.body.error, kind).toMatch(/^body: the image /);
      await expectNothing();
    }
  });

  test("a raw disk that begins like an image, which a refresh would take it for", async () => {
    for (const kind of [
      "qcow2 with a backing file",
      "VDI with a parent",
      "QED with a backing file",
    ]) {
      const inner = join(FROM, "inner");
      writeFileSync(inner, makers[kind]?.(MARKER) as Buffer);
      const within = join(FROM, "within");
      await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", inner, within]);
      const answer = await put("v", readFileSync(within), { format: "raw" });
      expectError(answer, 400, "invalid_input", /^body: the image .*begins like a/);
      const insisting = await put("v", readFileSync(inner), { source_format: "raw" });
      expect(insisting.status).toBe(400);
      await expectNothing();
    }
  });

  test.for([
    ["an overlay", "overlay", {}, /^body: the image has a backing file/],
    ["an archive", "raw.xz", {}, /^body: the image is an xz archive/],
    ["of another format", "qcow2", { source_format: "vmdk" }, /is of format qcow2, not vmdk/],
    ["larger than asked", "raw", { capacity: "1MiB" }, /^capacity: 1048576 bytes are less/],
    ["a vmdk that is to grow", "vmdk", { capacity: "1GiB" }, /^capacity: only a raw or qcow2/],
    ["other bytes", "raw", { sha256: "0".repeat(64) }, /^sha256: that of the body is [0-9a-f]{64}/],
  ] as const)("%s", async ([, name, fields, why]) => {
    expectError(await put("v", from(name), fields), 400, "invalid_input", why);
    await expectNothing();
  });

  test("an image that ends early, and no bytes", async () => {
    const half = from("qcow2").subarray(0, 300_000);
    expectError(await put("v", half), 400, "invalid_input", /^body: the image is .*truncated/);
    expectError(await put("v", new Uint8Array()), 400, "invalid_input", /^body: is empty/);
    await expectNothing();
  });

  test("bad fields, each by its name", async () => {
    for (const [fields, why] of [
      [{ format: "vhdx" }, /^format: /],
      [{ source_format: "iso" }, /^source_format: /],
      [{ capacity: "much" }, /^capacity: /],
      [{ sha256: "abc" }, /^sha256: must be 64 hexadecimal digits/],
      [{ colour: "red" }, /unknown key "colour" \(allowed: pool, volume/],
    ] as const)
      expectError(await put("v", from("raw"), { ...fields }), 400, "invalid_input", why);
    for (const volume of ["a/b", "", "..", "-v", "x".repeat(256)])
      expectError(await put(volume, from("raw")), 400, "invalid_input", /^volume: /);
    expectError(await put("v", from("raw"), { pool: "none" }), 404, "not_found", /none/);
    const { bytes, status } = await get("v");
    expect([status, JSON.parse(`${bytes}`).code]).toEqual([404, "not_found"]);
    await expectNothing();
  });

  test("a volume that is there, before a byte is read; a pool that is off", async () => {
    await virsh("vol-create-as", "default", "v", "1M");
    expectError(await put("v", from("raw")), 500, "already_exists", /^volume: v is in pool/);
    await virsh("pool-define-as", "off", "dir", "--target", "/run/off");
    expectError(await put("v", from("raw"), { pool: "off" }), 500, "not_active", /^pool: off/);
    await virsh("pool-undefine", "off");
    expect(readFileSync(at("v")).equals(Buffer.alloc(MIB))).toBe(true);
  });

  test("more than there is room for: told beforehand, or found out", async ({ pool }) => {
    const folder = await pool("small", "3m");
    const known = await put("v", randomBytes(4 * MIB), { pool: "small" });
    expectError(
      known,
      500,
      "no_space",
      /^body: 4194304 bytes do not fit into \/run\/small, where /,
    );
    const found = await put("v", inChunks(randomBytes(4 * MIB)), { pool: "small" });
    expectError(found, 500, "no_space", /^body: .*No space left on device/);
    await expectNothing(folder, "small");
    expect(notes(STATE)).toEqual([]);
  });

  test("other media types, encodings, and an Idempotency-Key", async () => {
    const url = `${server.url}/libvirt/volume/content?pool=default&volume=v`;
    for (const [headers, status, why] of [
      [{ "Content-Type": "application/json" }, 415, /^Content-Type must be application\/octet/],
      [{ "Content-Type": "multipart/form-data; boundary=x" }, 415, /^Content-Type must be/],
      [{ "Content-Encoding": "gzip" }, 415, /^Content-Encoding must be left out/],
      [{ "Content-Range": "bytes 0-9/100" }, 400, /^Content-Range: /],
      [{ "Idempotency-Key": "k" }, 400, /^Idempotency-Key: /],
    ] as const) {
      const response = await fetch(url, { method: "PUT", headers, body: "x" });
      expect([headers, response.status]).toEqual([headers, status]);
      expect(await response.json()).toMatchObject({ error: expect.stringMatching(why) });
    }
    await expectNothing();
  });
});

test("a volume of a running domain is not read; of one that is off it is", async ({ machine }) => {
  await machine("vm", { disks: [await image("disk.raw", "8M")] });
  const bytes = readFileSync(at("disk.raw"));
  await virsh("start", "vm");
  const busy = await get("disk.raw");
  expect([busy.status, JSON.parse(`${busy.bytes}`)]).toMatchObject([
    500,
    { code: "in_use", error: expect.stringMatching(/^volume: disk.raw .*running domain vm/) },
  ]);
  await virsh("destroy", "vm");
  expect((await get("disk.raw")).bytes.equals(bytes)).toBe(true);
});

describe("bytes that change while they are read are no whole answer", () => {
  const begun = async () => {
    await sh("truncate -s 512M v");
    await virsh("pool-refresh", "default");
    const url = `${server.url}/libvirt/volume/content?pool=default&volume=v`;
    const part = { headers: { Range: `bytes=0-${500 * MIB}` } };
    const answers = [await fetch(url), await fetch(url, part)];
    const readers = answers.map(({ body }) => body?.getReader());
    for (const reader of readers) await reader?.read();
    return readers.map((reader) => async () => {
      for (;;) if ((await reader?.read())?.done) return "complete";
    });
  };
  const expectTorn = async (rests: Awaited<ReturnType<typeof begun>>) => {
    for (const rest of rests) expect(await rest().catch(() => "broken off")).toBe("broken off");
  };

  test("some are written over", async () => {
    const rests = await begun();
    await sh("printf x | dd of=v conv=notrunc status=none");
    await expectTorn(rests);
  });

  test("a domain that has them starts", async ({ machine }) => {
    await machine("vm", { disks: [at("v")] });
    const rests = await begun();
    await virsh("start", "vm");
    await expectTorn(rests);
  });

  test("a domain that is defined meanwhile does no harm", async ({ machine }) => {
    const rests = await begun();
    await machine("vm", { disks: [at("v")] });
    for (const rest of rests) expect(await rest()).toBe("complete");
  });
});

describe("cut off", () => {
  test("ten times, anywhere", { timeout: slow(180_000) }, async () => {
    const bytes = randomBytes(24 * MIB);
    for (let i = 0; i < 10; i++) {
      const sent = Math.floor(Math.random() * bytes.length);
      await cut("v", bytes, sent, i % 2 ? "chunked" : "length");
      await until(`nothing is left of ${sent} bytes`, () => readdirSync(STORE).length === 0, 20);
      await expectNothing();
    }
    await until("every journal is removed", () => notes(STATE).length === 0, 20);
    expectSuccess(await put("v", bytes), 201);
  });

  test("by the end of the server, without a word", async () => {
    const own = mkdtempSync(join(tmpdir(), "state-"));
    const other = await startServer({ XDG_STATE_HOME: own });
    const call = contentOf(other)
      .put("v", endless(MIB))
      .catch(() => undefined);
    await until("bytes arrive", () => readdirSync(STORE).length > 0, 20);
    process.kill(other.pid, "SIGKILL");
    await call;
    await until("the folder is gone", () => readdirSync(STORE).length === 0, 20);
    await expectNothing();
    await other.stop();
    const next = await startServer({ XDG_STATE_HOME: own });
    const { body } = await next.get("/status");
    expect(JSON.stringify(body)).not.toContain("upload of bytes");
    expect(notes(own)).toEqual([]);
    await next.stop();
    rmSync(own, { recursive: true });
  });

  test("by a server that is told to end: it waits, and cuts off what takes too long", async () => {
    const config = "/run/content.toml";
    writeFileSync(config, "[limits]\nshutdown = 1\n");
    const other = await startServer({ HYPERSDK_CONFIG: config });
    const call = contentOf(other)
      .put("v", endless(MIB))
      .catch(() => undefined);
    await until("bytes arrive", () => readdirSync(STORE).length > 0, 20);
    await other.stop();
    await call;
    await expectNothing();
    rmSync(config);
  });

  test("a reader who goes away ends the program that reads", async () => {
    await sh("truncate -s 4G v");
    await virsh("pool-refresh", "default");
    const response = await fetch(`${server.url}/libvirt/volume/content?pool=default&volume=v`);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    const readers = async () =>
      (await run("sh", ["-c", "pgrep -fc '[i]f=/var/lib/libvirt/images/v' || true"])).stdout;
    await until("no program reads", async () => (await readers()).trim() === "0", 20);
  });

  test("an answer whose bytes end early is no whole answer", async () => {
    await sh("truncate -s 1G v");
    await virsh("pool-refresh", "default");
    const response = await fetch(`${server.url}/libvirt/volume/content?pool=default&volume=v`);
    const reader = response.body?.getReader();
    await reader?.read();
    await sh("truncate -s 1M v");
    const rest = async () => {
      for (;;) if ((await reader?.read())?.done) return "complete";
    };
    expect(await rest().catch(() => "broken off")).toBe("broken off");
  });
});

test("a gigabyte in and out: the server stays small", { timeout: slow(300_000) }, async () => {
  writeFileSync(`/proc/${server.pid}/clear_refs`, "5"); // the peak is counted anew
  const url = `${server.url}/libvirt/volume/content?pool=default&volume=big`;
  const stream = "head -c 1G /dev/zero | openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 2>/dev/null";
  const script = `${stream} | tee /run/pipe-sum.in | curl -sSf -o /dev/null -T - '${url}'`;
  const sums = `mkfifo /run/pipe-sum.in; sha256sum </run/pipe-sum.in >/run/sum.in & ${script}; wait
    curl -sSf '${url}' | sha256sum >/run/sum.out; cmp /run/sum.in /run/sum.out; rm /run/pipe-sum.in /run/sum.*`;
  await run("sh", ["-euc", sums]);
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1];
  expect(Number(peak) / 1024).toBeLessThan(200);
});

describe("the command line", () => {
  const LAUNCHER = join(import.meta.dirname, "../../../runtime/cli/hypersdk.sh");
  async function hypersdk(words: string[], stdin: string) {
    const child = spawn(LAUNCHER, ["call", "libvirt/volume/content", "pool=default", ...words], {
      stdio: [openSync(stdin, "r"), "pipe", "pipe"],
    });
    const [out, errors]: Buffer[][] = [[], []];
    child.stdout?.on("data", (data) => out?.push(data));
    child.stderr?.on("data", (data) => errors?.push(data));
    const code = await new Promise((resolve) => child.once("close", resolve));
    return { code, out: Buffer.concat(out ?? []), errors: `${Buffer.concat(errors ?? [])}` };
  }

  test.for([[], ["--server"]])("in and out %j", { timeout: slow(120_000) }, async ([flag]) => {
    const to = flag ? [flag, server.url] : [];
    const made = await hypersdk(["volume=v", ...to], join(FROM, "qcow2"));
    expect([made.code, made.errors]).toEqual([0, ""]);
    expect(JSON.parse(`${made.out}`)).toMatchObject({ name: "v", format: "qcow2" });
    const back = await hypersdk(["volume=v", ...to], "/dev/null");
    expect([back.code, back.errors, back.out.equals(from("qcow2"))]).toEqual([0, "", true]);
    const file = join(FROM, "saved");
    const saved = await hypersdk(["volume=v", "--output", file, ...to], "/dev/null");
    expect([saved.code, saved.errors]).toEqual([0, ""]);
    expect(readFileSync(file).equals(from("qcow2"))).toBe(true);
    rmSync(file);
    const missing = await hypersdk(["volume=none", "--output", file, ...to], "/dev/null");
    expect([missing.code, existsSync(file)]).toEqual([1, false]);
    expect(missing.errors).toMatch(/\(not_found\)/);
  });
});
