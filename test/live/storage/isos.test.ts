/** ISO images on a real libvirtd: listed with their users, uploaded in both ways, deleted when no drive has them. */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { digest, expectNothing } from "../../fixtures/live/content.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { at, image, STORE, sh, start } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, virsh } from "../../fixtures/live/virsh.ts";

const run = promisify(execFile);
const FROM = "/mnt/isos";
const { test, server } = labTest({
  start: () => start(),
  async tidy() {
    for (const name of readdirSync(STORE)) rmSync(join(STORE, name), { recursive: true });
    await virsh("pool-refresh", "default");
  },
});

beforeAll(async () => {
  mkdirSync(FROM);
  const script = `cd ${FROM}; mkdir tree; head -c 3M /dev/urandom >tree/file
    xorriso -as mkisofs -quiet -o cd.iso tree
    head -c 1M /dev/urandom >none.iso; qemu-img create -q -f qcow2 disk.qcow2 10M; head -c 100 cd.iso >short.iso`;
  await run("sh", ["-euc", script]);
});
afterAll(() => rmSync(FROM, { recursive: true }));

const upload = (input: object) => server.post("/libvirt/isos/upload", input);
async function put(name: string, body: Uint8Array, more: Record<string, string> = {}) {
  const query = new URLSearchParams({ name, ...more });
  const response = await fetch(`${server.url}/libvirt/isos/content?${query}`, {
    method: "PUT",
    body: body as unknown as Blob,
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}
const list = async (query = "") =>
  expectSuccess(await server.get(`/libvirt/isos/list${query}`), 200);

test("from a path and from the caller: the very bytes, which a domain can have", async ({
  machine,
}) => {
  const bytes = readFileSync(join(FROM, "cd.iso"));
  const one = { pool: "default", name: "one.iso", path: at("one.iso"), size_bytes: bytes.length };
  const path = join(FROM, "cd.iso");
  expect(expectSuccess(await upload({ source_path: path, name: "one.iso" }), 201)).toEqual(one);
  const two = await put("two.iso", bytes, { sha256: digest(bytes) });
  expect(expectSuccess(two, 201)).toEqual({ ...one, name: "two.iso", path: at("two.iso") });
  for (const name of ["one.iso", "two.iso"])
    expect(readFileSync(at(name)).equals(bytes)).toBe(true);
  const content = await fetch(
    `${server.url}/libvirt/volume/content?pool=default&volume=three.iso`,
    { method: "PUT", body: bytes },
  );
  expect([content.status, await content.json()]).toMatchObject([201, { status: "success" }]);

  const cdrom = xml`<disk type="file" device="cdrom"><source file="${at("one.iso")}"/><target dev="sda" bus="scsi"/><readonly/></disk>`;
  await machine("vm", { disks: [await image("disk.raw"), cdrom] });
  const used = (name: string, used_by: string[]) => ({ ...one, name, path: at(name), used_by });
  const isos = [used("one.iso", ["vm"]), used("three.iso", []), used("two.iso", [])];
  const listed = await list();
  expect(listed.total).toBe(3);
  expect(listed.isos).toHaveLength(3);
  expect(listed.isos).toEqual(expect.arrayContaining(isos));
  expect((await list("?pool=default")).total).toBe(3);
  expectError(await server.get("/libvirt/isos/list?pool=none"), 404, "not_found", /none/);
  const inUse = await server.post("/libvirt/isos/delete", { name: "one.iso" });
  expectError(inUse, 500, "in_use", /^name: one.iso is in a drive of vm; cdrom\/eject takes it/);
  expect(inUse.body.domains).toEqual(["vm"]);
  expectSuccess(await server.post("/libvirt/cdrom/eject", { name: "vm" }), 200);
  for (const name of ["one.iso", "two.iso"])
    expectSuccess(await server.post("/libvirt/isos/delete", { name }), 200);
  await sh(`qemu-img create -q -f qcow2 -F raw -b '${at("three.iso")}' over.qcow2`);
  await virsh("pool-refresh", "default");
  const base = await server.post("/libvirt/isos/delete", { name: "three.iso" });
  expectError(base, 500, "in_use", /^name: three.iso is below .*over\.qcow2, which would break/);
  expect(base.body.children).toEqual([at("over.qcow2")]);
  expect(readdirSync(STORE).sort()).toEqual(["disk.raw", "over.qcow2", "three.iso"]);
});

test("refused, and nothing is left", async () => {
  const from = (name: string) => ({ source_path: join(FROM, name), name: "v.iso" });
  for (const [input, code, why] of [
    [from("none.iso"), "invalid_input", /^source_path: .* is no ISO/],
    [from("short.iso"), "invalid_input", /^source_path: .* is no ISO/],
    [from("disk.qcow2"), "invalid_input", /^source_path: .* is of format qcow2, not raw/],
    [{ ...from("cd.iso"), name: "v.img" }, "invalid_input", /^name: must end with .iso/],
    [{ source_path: "/etc/passwd", name: "v.iso" }, "invalid_input", /^source_path: .* allowed/],
  ] as const)
    expectError(await upload(input), 400, code, why);
  for (const name of ["none.iso", "short.iso", "disk.qcow2"])
    expectError(
      await put("v.iso", readFileSync(join(FROM, name))),
      400,
      "invalid_input",
      /^body: /,
    );
  const wrong = await put("v.iso", readFileSync(join(FROM, "cd.iso")), { sha256: "0".repeat(64) });
  expectError(wrong, 400, "invalid_input", /^sha256: /);
  await expectNothing();
  await sh("truncate -s 1M disk.raw");
  await virsh("pool-refresh", "default");
  const other = await server.post("/libvirt/isos/delete", { name: "disk.raw" });
  expectError(other, 400, "invalid_input", /^name: disk.raw of pool default is no ISO image/);
  expectError(await server.post("/libvirt/isos/delete", { name: "x.iso" }), 404, "not_found", /x/);
  writeFileSync(at("old.iso"), "x");
  await virsh("pool-refresh", "default");
  const taken = await upload({ source_path: join(FROM, "cd.iso"), name: "old.iso" });
  expectError(taken, 500, "already_exists", /old\.iso/);
  expect(readFileSync(at("old.iso"), "utf8")).toBe("x");
});
