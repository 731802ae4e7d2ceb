/** `image/fetch` over SSH: this server downloads and streams there, for a login without root too. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type ImageServer, serveImages } from "../../fixtures/image-server.ts";
import { expectNothing, notes } from "../../fixtures/live/content.ts";
import { at, STATE, STORE, start, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { busyboxTools } from "../../lab/busybox.ts";
import { startLoginUser } from "../../lab/login-user.ts";
import { startSshd } from "../../lab/sshd.ts";
import type { TestServer } from "../../server.ts";

const run = promisify(execFile);
const folder = mkdtempSync("/run/image-fetch-");
const raw = randomBytes(8 * 2 ** 20).fill(0, 2 ** 20, 5 * 2 ** 20);
const config = join(folder, "hypersdk.toml");
let images: ImageServer;

beforeAll(async () => {
  writeFileSync(join(folder, "raw"), raw);
  await run("sh", ["-euc", `cd ${folder}; xz -k raw; gzip -k raw; zstd -q raw; bzip2 -k raw`]);
  const names = ["raw", "raw.xz", "raw.gz", "raw.zst", "raw.bz2"];
  const files = names.map((name) => [name, readFileSync(join(folder, name))] as const);
  images = await serveImages({ ...Object.fromEntries(files), slow: randomBytes(2 ** 26) });
  writeFileSync(config, `[images]\nhosts = ["${images.host}"]\n`);
});
afterEach(wipe);
afterAll(async () => {
  await images.close();
  rmSync(folder, { recursive: true });
});

const reaching = (uri: string) =>
  start(undefined, { HYPERSDK_CONFIG: config, LIBVIRT_DEFAULT_URI: uri });
const fetchTo = (server: TestServer, path: string, more: object = {}) =>
  server.post("/libvirt/image/fetch", { url: `${images.url}${path}`, name: "v", ...more });

/** As it is and unpacked, broken off and taken up, refused. */
async function expectAll(server: TestServer, kinds: string[]) {
  for (const [i, path] of ["/raw", "/cut/3000000/raw", ...kinds].entries()) {
    expectSuccess(await fetchTo(server, path, { name: `v${i}` }), 201);
    expect(readFileSync(at(`v${i}`)).equals(raw), path).toBe(true);
  }
  const sha256 = "0".repeat(64);
  expectError(await fetchTo(server, "/raw.gz", { sha256 }), 400, "invalid_input", /^sha256: /);
  const made = ["", "", ...kinds].map((_, i) => `v${i}`);
  await expectNothing(STORE, "default", made);
  expect(notes(STATE)).toEqual([]);
}

test("a login without root", { timeout: slow(180_000) }, async () => {
  const user = await startLoginUser();
  const server = await reaching(user.uri());
  try {
    await expectAll(server, ["/raw.xz", "/raw.gz", "/raw.zst", "/raw.bz2"]);
  } finally {
    await server.stop();
    await user.remove();
  }
});

test("BusyBox's tools in the place of GNU's", { timeout: slow(180_000) }, async () => {
  const tools = "/run/busybox-fetch";
  await busyboxTools(tools, ["virsh", "qemu-img"]);
  const sshd = await startSshd({ config: [`SetEnv PATH=${tools}`] });
  const server = await reaching(sshd.uri());
  try {
    await expectAll(server, ["/raw.gz"]);
  } finally {
    await server.stop();
    await sshd.stop();
    rmSync(tools, { recursive: true });
  }
});

test("a connection to the hypervisor that is lost: nothing is left", {
  timeout: slow(180_000),
}, async () => {
  const sshd = await startSshd();
  const server = await reaching(sshd.uri());
  try {
    const call = fetchTo(server, "/slow/slow");
    await until("bytes arrive", () => readdirSync(STORE).length > 0, 30);
    await sshd.kill();
    expectError(await call, 503, "unreachable", /SSH connection was lost/);
    await until("nothing is left", () => readdirSync(STORE).length === 0, 30);
    await sshd.start();
    await expectNothing();
  } finally {
    await server.stop();
    await sshd.stop();
  }
});
