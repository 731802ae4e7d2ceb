/** A worker that is killed while an image comes in, from elsewhere: nothing is left, and another one does it again. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type ImageServer, serveImages } from "../../fixtures/image-server.ts";
import { HOLD, startDrilled } from "../../fixtures/live/drill.ts";
import {
  type Database,
  expectNothingHeld,
  jobPrograms,
  startDatabase,
  stopHosts,
  volumes,
} from "../../fixtures/live/jobs.ts";
import { at, diskPaths, names, STORE, same, wipe } from "../../fixtures/live/machine.ts";
import { clean, defineNetwork, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const FROM = "/srv/arrivals";
const BYTES = randomBytes(48 * 2 ** 20);
let database: Database;
let images: ImageServer;

beforeAll(async () => {
  database = await startDatabase("/run/jobs-arrivals-database");
  images = await serveImages({ image: BYTES });
  mkdirSync(FROM, { recursive: true });
  writeFileSync(`${FROM}/image.raw`, BYTES);
  await defineNetwork("default");
  await virsh("net-start", "default");
});
afterEach(async () => {
  rmSync(HOLD, { force: true });
  await stopHosts();
  await wipe();
});
afterAll(async () => {
  await clean();
  await images.close();
  await database.stop();
  rmSync(FROM, { recursive: true });
});

const start = (name: string) =>
  startDrilled(
    `/run/jobs-arrivals-${name}`,
    `[database]\nurl = "${database.url}"\n[images]\nhosts = ["${images.host}"]\n`,
  );

/** Kills the worker of a job once it is midway; resolves to the job after that. */
async function killed(
  path: string,
  input: object,
  isMidway: (id: string) => boolean,
  goOn: () => void,
) {
  const first = await start("first");
  const id = await first.submit(path, input);
  await until("it is midway", () => isMidway(id), slow(30));
  await first.kill();
  goOn();
  const job = await (await start("second")).ended(id, slow(120));
  expect([job.state, job.attempts, job.error]).toEqual(["completed", 2, null]);
  await expectNothingHeld(database.rows);
  return job;
}

test("import/kvm", { timeout: slow(240_000) }, async () => {
  writeFileSync(HOLD, "");
  const input = { image_path: `${FROM}/image.raw`, vm_name: "moved" };
  const isMidway = (id: string) => jobPrograms(id).some((words) => words.includes("convert"));
  await killed("/import/kvm", input, isMidway, () => rmSync(HOLD));
  expect(await names()).toEqual(["moved"]);
  const [disk = ""] = await diskPaths("moved");
  expect(await same(disk, `${FROM}/image.raw`)).toBe(true);
  expect(await volumes()).toHaveLength(1);
  expect(readdirSync(STORE)).toHaveLength(1);
});

test("image/fetch", { timeout: slow(240_000) }, async () => {
  const input = { url: `${images.url}/held/image`, name: "v.raw" };
  const isMidway = () => readdirSync(STORE).length > 0;
  await killed("/libvirt/image/fetch", input, isMidway, images.release);
  expect(readdirSync(STORE)).toEqual(["v.raw"]);
  expect(await volumes()).toEqual(["v.raw"]);
  expect(await same(at("v.raw"), `${FROM}/image.raw`)).toBe(true);
  expect(images.asked).toEqual(["/held/image", "/held/image"]);
});
