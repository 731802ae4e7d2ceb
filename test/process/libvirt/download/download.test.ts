/** Downloads from a server that breaks off, leads elsewhere, or has another file by now. */
import { createHash, randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { log } from "../../../../runtime/core/log.ts";
import { settings } from "../../../../runtime/core/settings.ts";
import { openDownload, type Source } from "../../../../runtime/libvirt/download/download.ts";
import { type ImageServer, serveImages } from "../../../fixtures/image-server.ts";

const BYTES = randomBytes(1_000_000);
const digest = (name: string) => createHash(name).update(BYTES).digest("hex");
const { images } = settings();
let server: ImageServer;
beforeAll(async () => {
  server = await serveImages({ image: BYTES });
});
afterAll(() => server.close());
const own = { ...images };
afterEach(() => {
  Object.assign(images, own);
  server.asked.length = 0;
});

async function download(path: string, more: Partial<Source> = {}, signal?: AbortSignal) {
  if (images.hosts.length === 0) images.hosts = [server.host];
  const context = { log, signal: signal ?? new AbortController().signal };
  const opened = await openDownload(context, { url: `${server.url}${path}`, ...more });
  const chunks: Uint8Array[] = [];
  for await (const chunk of opened.stream()) chunks.push(chunk);
  return { bytes: Buffer.concat(chunks), size: opened.size, sha256: opened.sha256() };
}

test.for([
  ["/image", 1_000_000, []],
  ["/cut/300000/image", 1_000_000, ["bytes=300000-", "bytes=600000-", "bytes=900000-"]],
  ["/whole/300000/image", 1_000_000, ["bytes=300000-"]],
  ["/chunked/image", undefined, []],
  ["/chunks/600000/image", undefined, ["bytes=600000-"]],
] as const)("%s: all bytes", { timeout: 60_000 }, async ([path, size, ranges]) => {
  const got = await download(path, { sha256: digest("sha256"), sha512: digest("sha512") });
  expect(got.bytes.equals(BYTES)).toBe(true);
  expect([got.size, got.sha256]).toEqual([size, digest("sha256")]);
  expect(server.asked).toEqual([path, ...ranges.map((range) => `${path} ${range}`)]);
});

test("redirects within the list, in upper case too", async () => {
  const { bytes } = await download(`/to/x?${server.url}/image`, {
    sha256: digest("sha256").toUpperCase(),
  });
  expect(bytes.equals(BYTES)).toBe(true);
});

describe("refused", () => {
  test.for([
    ["/changed/300000/image", /^url: 127.* broke off after 300000 bytes, and has another file/],
    ["/untagged/300000/image", /^url: 127.* broke off after 300000 bytes, and tells neither ETag/],
    ["/none", /^url: 127.0.0.1:\d+ answers 404: there is no such file to http:\/\/127/],
    ["/status/403", /^url: 127.0.0.1:\d+ answers 403 to http/],
    ["/loop", /^url: redirects more than 5 times$/],
    ["/to/x?http://localhost/a", /^url: redirects, and: host localhost is not in/],
    ["/to/x?file:///etc/passwd", /^url: redirects to another URL, which must be/],
  ] as const)("%s", { timeout: 60_000 }, async ([path, why]) => {
    const error = await download(path).catch((error) => error);
    expect([error.code, error.message]).toEqual(["invalid_input", expect.stringMatching(why)]);
  });

  test("another checksum", async () => {
    for (const [name, digits] of [
      ["sha256", 64],
      ["sha512", 128],
    ] as const) {
      const error = await download("/image", { [name]: "0".repeat(digits) }).catch(
        (error) => error,
      );
      expect([error.code, error.message]).toEqual([
        "invalid_input",
        `${name}: that of the download is ${digest(name)}, not ${"0".repeat(digits)}`,
      ]);
    }
  });

  test("a name that leads to this machine, and one that leads nowhere", {
    timeout: 60_000,
  }, async () => {
    const port = server.host.split(":")[1];
    images.hosts = [server.host, `localhost:${port}`, "nowhere.invalid"];
    const to = (target: string) => download(`/to/x?${target}`).catch((error) => error.message);
    const own = `http://localhost:${port}/image`;
    expect(await to(own)).toMatch(/^url: host localhost has a private address \(.*127\.0\.0\.1/);
    expect(await to("http://nowhere.invalid/")).toMatch(
      /^url: (host nowhere.invalid has no address|nowhere.invalid has not answered)/,
    );
    images.private = true;
    expect((await download(`/to/x?${own}`)).bytes.equals(BYTES)).toBe(true);
  });

  test("a server that fails, or is not there, is not the caller's fault", async () => {
    const failed = await download("/status/503").catch((error) => error);
    expect([failed.code, failed.message]).toEqual([
      "command_failed",
      `url: ${server.host} answers 503`,
    ]);
    images.hosts = ["127.0.0.1:9"];
    const context = { log, signal: new AbortController().signal };
    const gone = await openDownload(context, { url: "http://127.0.0.1:9/a" }).catch(
      (error) => error,
    );
    expect(gone.code).toBe("command_failed");
  });

  test("a file that ends before its length is given up in the end", {
    timeout: 90_000,
  }, async () => {
    const error = await download("/short/image").catch((error) => error);
    expect(error.message).toMatch(/^url: 127.* broke off after 1000000 bytes/);
  });
});

test("a caller who goes away ends it", async () => {
  const caller = new AbortController();
  setTimeout(() => caller.abort(), 100);
  const error = await download("/slow/image", {}, caller.signal).catch((error) => error);
  expect(error).toBeInstanceOf(Error);
});
