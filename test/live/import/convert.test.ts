/** Moving in as jobs: convert/vm, workflow/convert and what tells of them; vmdk/parse, config/generate and templates. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { parseXml, textOf } from "../../../runtime/libvirt/xml.ts";
import { jobAnswer } from "../../as-job.ts";
import {
  bootSector,
  manifest,
  pack,
  rawDisks,
  says,
  vmwareOvf,
} from "../../fixtures/live/appliances.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  diskPaths,
  everything,
  imageInfo,
  names,
  same,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { clean, defineNetwork, expectError, expectSuccess } from "../../fixtures/live/virsh.ts";

const run = promisify(execFile);
const { test, server } = labTest({ start, tidy: wipe });

const ALLOWED = "/srv/converting";
const SECRET = "/run/secret-of-the-host";
let ova = "";
let raw: string[] = [];

beforeAll(async () => {
  mkdirSync(ALLOWED, { recursive: true });
  writeFileSync(SECRET, "secret\n".repeat(2000));
  await defineNetwork("default");
  await virsh("net-start", "default");
  raw = await rawDisks(join(ALLOWED, "raw"), bootSector("web"), "data\n\0");
  const folder = join(ALLOWED, "work");
  mkdirSync(folder);
  const disks = [];
  for (const [i, path] of raw.entries()) {
    const file = `web-disk${i + 1}.vmdk`;
    const options = ["-O", "vmdk", "-o", "subformat=streamOptimized"];
    await run("qemu-img", ["convert", "-f", "raw", ...options, path, join(folder, file)]);
    disks.push({ file, size: statSync(join(folder, file)).size, capacity: 24 * 2 ** 20 });
  }
  writeFileSync(join(folder, "web.ovf"), vmwareOvf({ name: "web", disks }));
  const files = ["web.ovf", ...disks.map(({ file }) => file)];
  writeFileSync(join(folder, "web.mf"), manifest(folder, files, "vmware"));
  ova = await pack(folder, join(ALLOWED, "web.ova"), [...files, "web.mf"]);
});
afterAll(async () => {
  await clean();
  rmSync(ALLOWED, { recursive: true });
});

/** The 202, and what the job then answers. */
async function asJob(path: string, input: object) {
  const submitted = await server.post(path, input);
  const data = expectSuccess(submitted, 202);
  expect(data).toMatchObject({ state: "queued", status: "queued", id: expect.any(String) });
  expect(submitted.headers.get("location")).toBe(`/jobs/${data.id}`);
  return {
    id: data.id as string,
    answer: await jobAnswer(submitted, (one) => server.get(one)),
  };
}
const convert = (input: object) => asJob("/convert/vm", { source_path: ova, ...input });
const workflow = (input: object) => asJob("/workflow/convert", { vmdk_path: ova, ...input });

describe("convert/vm", () => {
  test("to files, which list and status tell of", async () => {
    const dest_path = join(ALLOWED, "out.qcow2");
    const { id, answer } = await convert({ dest_path, compression: true });
    const data = expectSuccess(answer, 202);
    const files = [dest_path, join(ALLOWED, "out-2.qcow2")];
    expect(data).toMatchObject({ conversion_id: id, status: "completed" });
    expect(data.files.map((file: { path: string }) => file.path)).toEqual(files);
    for (const [i, path] of files.entries()) {
      expect(await same(path, `${raw[i]}`)).toBe(true);
      expect(await imageInfo(path)).toMatchObject({
        format: "qcow2",
        "virtual-size": 24 * 2 ** 20,
      });
    }
    expect(readdirSync(ALLOWED).sort()).toEqual(["out-2.qcow2", "out.qcow2", "raw", "web.ova"]);
    const status = expectSuccess(await server.get(`/convert/status?id=${id}`));
    expect(status).toMatchObject({
      id,
      status: "completed",
      error: null,
      progress: { percent: 100 },
    });
    expect(status.result.files).toEqual(data.files);
    const byOther = expectSuccess(await server.get(`/convert/status?conversion_id=${id}`));
    expect(byOther.id).toBe(id);
    const list = expectSuccess(await server.get("/convert/list?status=completed"));
    expect(list.conversions.map((one: { id: string }) => one.id)).toContain(id);
    // what is there is not written over
    const again = await convert({ dest_path });
    expectError(again.answer, 500, "already_exists", /^dest_path: .*out\.qcow2 exists already/);
    const other = { source_path: raw[0], dest_path: join(ALLOWED, "out.vmdk"), format: "vmdk" };
    const small = expectSuccess((await convert({ ...other, compression: true })).answer, 202);
    const { path = "" } = small.files[0] ?? {};
    const info = await imageInfo(path);
    expect(info["format-specific"].data["create-type"]).toBe("streamOptimized");
    expect(await same(path, `${raw[0]}`)).toBe(true);
    for (const path of [...files, other.dest_path]) rmSync(path);
  });

  test("to a domain", async () => {
    const { answer } = await convert({
      import_to_kvm: true,
      vm_name: "moved",
      memory: 64,
      start: true,
    });
    expect(expectSuccess(answer, 202).domain).toMatchObject({
      name: "moved",
      memory: 64,
      started: true,
    });
    await says("moved", "BOOTED web");
    expect(await diskPaths("moved")).toEqual([at("moved.qcow2"), at("moved-vdb.qcow2")]);
  });

  test("a cancelled one leaves nothing", async () => {
    const before = await everything();
    const submitted = await server.post("/convert/vm", {
      source_path: ova,
      dest_path: join(ALLOWED, "gone.raw"),
      format: "raw",
    });
    const { id: job_id } = expectSuccess(submitted, 202);
    await server.post("/jobs/cancel", { job_ids: [job_id] });
    const answer = await jobAnswer(submitted, (one) => server.get(one));
    const status = expectSuccess(await server.get(`/convert/status?id=${job_id}`));
    // it may have been quicker
    if (status.status === "cancelled") expect(existsSync(join(ALLOWED, "gone.raw"))).toBe(false);
    else expectSuccess(answer, 202);
    expect(await everything()).toEqual(before);
    await sh(`rm -f '${ALLOWED}'/gone*.raw`);
  });

  test("refused at once: the input; as a job: the source", async () => {
    const ask = (input: object) => server.post("/convert/vm", { source_path: ova, ...input });
    const dest_path = join(ALLOWED, "x.qcow2");
    for (const [input, text] of [
      [{}, /^dest_path: needed/],
      [{ dest_path, import_to_kvm: true }, /^dest_path: /],
      [{ dest_path, output_path: dest_path }, /^output_path: /],
      [{ import_to_kvm: true, convert_only: true }, /^convert_only: /],
      [{ import_to_kvm: true, format: "vmdk" }, /^format: /],
      [{ dest_path, format: "iso" }, /^format: /],
      [{ source_path: "web.ova", dest_path }, /^source_path: /],
      [{ dest_path, vm_name: "a/b" }, /^vm_name: /],
    ] as const)
      expectError(await ask(input), 400, "invalid_input", text);
    expectError(
      await ask({ dest_path, vcenter_creds: { server: "x" } }),
      500,
      "unsupported",
      /^vcenter_creds: /,
    );
    expectError(
      (await convert({ source_path: SECRET, dest_path })).answer,
      400,
      "invalid_input",
      /^source_path: .*allowed folder/,
    );
    expectError(
      (await convert({ dest_path: "/etc/x.qcow2" })).answer,
      400,
      "invalid_input",
      /^dest_path: .*allowed folder/,
    );
    expectError(
      (await convert({ dest_path: `${ALLOWED}/none/x` })).answer,
      400,
      "invalid_input",
      /^dest_path: the folder/,
    );
    expectError(
      (await convert({ dest_path, compression: true, format: "raw" })).answer,
      400,
      "invalid_input",
      /^compression: /,
    );
    const { answer } = await convert({ source_path: raw[0], dest_path, source_format: "qcow2" });
    expectError(answer, 400, "invalid_input", /^source_path: .* is of format raw, not qcow2/);
    expectError(
      await server.get("/convert/status?id=00000000-0000-4000-8000-000000000000"),
      404,
      "not_found",
      /no job/,
    );
    expectError(await server.get("/convert/status?id=x"), 404, "not_found", /^id: no job x/);
    expectError(await server.get("/convert/status"), 400, "invalid_input", /^id: required/);
    expect(existsSync(dest_path)).toBe(false);
  });
});

describe("workflow/convert", () => {
  test("inspects, converts, starts and verifies", async () => {
    const { id, answer } = await workflow({ vm_name: "flow", memory: 64, vcpus: 1 });
    const data = expectSuccess(answer, 202);
    expect(data).toMatchObject({
      workflow_id: id,
      status: "completed",
      domain: { name: "flow", started: true },
    });
    expect(data.steps.map(({ step }: { step: string }) => step)).toEqual([
      "inspect",
      "convert",
      "start",
      "verify",
    ]);
    expect((await virsh("domstate", "flow")).trim()).toBe("running");
    const one = expectSuccess(await server.get(`/workflow/status?id=${id}`));
    expect(one).toMatchObject({ id, status: "completed", result: { domain: { name: "flow" } } });
    const all = expectSuccess(await server.get("/workflow/status"));
    expect(all.workflows[0].id).toBe(id);
    const conversions = expectSuccess(await server.get("/convert/list"));
    expect(JSON.stringify(conversions)).not.toContain(id);
  });

  test("a guest that does not come: all of it is undone", async () => {
    const before = await everything();
    const { id, answer } = await workflow({
      vm_name: "silent",
      memory: 64,
      wait: { for: "address", timeout: 2 },
    });
    expectError(answer, 504, "timed_out", /address/);
    expect(await everything()).toEqual(before);
    expect(expectSuccess(await server.get(`/workflow/status?id=${id}`))).toMatchObject({
      status: "failed",
      error: expect.stringMatching(/address/),
    });
  });

  test("refused", async () => {
    const ask = (input: object) => server.post("/workflow/convert", { vmdk_path: ova, ...input });
    expectError(await ask({ vcpus: 0 }), 400, "invalid_input", /^vcpus: /);
    expectError(await ask({ os_type: 1 }), 400, "invalid_input", /^os_type: /);
    expectError((await workflow({ compress: true })).answer, 500, "unsupported", /^compress: /);
    expectError((await workflow({ flatten: false })).answer, 500, "unsupported", /^flatten: /);
    const many = { vmdk_path: ova, vcpus: 4096 };
    const most = /^vcpus: machine pc-q35-\S+ has at most \d+/;
    expectError((await workflow(many)).answer, 400, "invalid_input", most);
    expectError(await server.post("/config/generate", many), 400, "invalid_input", most);
    expectError(
      (await workflow({ output_dir: ALLOWED })).answer,
      400,
      "invalid_input",
      /^output_dir: .*no active pool/,
    );
    expectError(
      (await workflow({ vmdk_path: SECRET })).answer,
      400,
      "invalid_input",
      /^vmdk_path: /,
    );
    expect(await names()).toEqual([]);
    const { answer } = await workflow({
      output_dir: "/var/lib/libvirt/images/",
      libvirt_test: false,
      vm_name: "off",
    });
    expect(expectSuccess(answer, 202).domain.started).toBe(false);
    expect((await virsh("domstate", "off")).trim()).toBe("shut off");
  });
});

describe("vmdk/parse", () => {
  const parse = (path: string) => server.get(`/vmdk/parse?path=${encodeURIComponent(path)}`);

  test("an OVA, a stream-optimised VMDK, a descriptor, others", async () => {
    expect(expectSuccess(await parse(ova))).toMatchObject({
      ...{ path: ova, kind: "ova", accepted: true, reason: null, image: null },
      machine: {
        name: "web",
        memory: 96,
        vcpus: 2,
        manifest: true,
        networks: [{ network: "VM Network" }],
      },
    });
    await sh(
      `cd '${ALLOWED}'; qemu-img convert -f raw -O vmdk -o subformat=streamOptimized raw/raw0 s.vmdk; qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentFlat raw/raw0 t.vmdk; qemu-img convert -f raw -O vpc -o force_size=on raw/raw0 d.vhd`,
    );
    expect(expectSuccess(await parse(`${ALLOWED}/s.vmdk`))).toMatchObject({
      ...{ kind: "image", accepted: true, machine: null },
      image: {
        format: "vmdk",
        subformat: "streamOptimized",
        virtual_size_bytes: 24 * 2 ** 20,
        parent: null,
      },
    });
    const split = expectSuccess(await parse(`${ALLOWED}/t.vmdk`));
    expect(split).toMatchObject({
      accepted: false,
      reason: expect.stringMatching(/^path: .*descriptor/),
    });
    expect(split.image).toMatchObject({
      subformat: "twoGbMaxExtentFlat",
      virtual_size_bytes: null,
    });
    expect(split.image.extents[0]).toMatchObject({
      access: "RW",
      type: "FLAT",
      file: "t-f001.vmdk",
    });
    expect(expectSuccess(await parse(`${ALLOWED}/d.vhd`)).image).toMatchObject({
      format: "vpc",
      virtual_size_bytes: 24 * 2 ** 20,
    });
    await sh(`rm '${ALLOWED}'/*.vmdk '${ALLOWED}'/*.vhd`);
    await sh(
      `cd '${ALLOWED}'; cp web.ova part.ova; tar --delete -f part.ova web-disk2.vmdk web.mf`,
    );
    expectError(
      await parse(`${ALLOWED}/part.ova`),
      400,
      "invalid_input",
      /describes a disk in web-disk2\.vmdk, which is not in it/,
    );
    rmSync(`${ALLOWED}/part.ova`);
  });

  test("what reaches out is described and not opened; what lies elsewhere is not", async () => {
    await sh(
      `cd '${ALLOWED}'; qemu-img create -q -u -f qcow2 -b ${SECRET} -F raw over.qcow2 10M; printf '# Disk DescriptorFile\\nversion=1\\nCID=1\\nparentCID=deadbeef\\nparentFileNameHint="${SECRET}"\\ncreateType="vmfsSparse"\\nRW 20 VMFSSPARSE "${SECRET}"\\n' >snap.vmdk`,
    );
    const over = expectSuccess(await parse(`${ALLOWED}/over.qcow2`));
    expect(over).toMatchObject({
      accepted: false,
      image: null,
      reason: expect.stringMatching(/backing file/),
    });
    const snap = expectSuccess(await parse(`${ALLOWED}/snap.vmdk`));
    expect(snap).toMatchObject({
      accepted: false,
      image: { parent: SECRET, virtual_size_bytes: null },
    });
    await sh(`cd '${ALLOWED}'; yes text | head -c 4096 >page.ova`);
    expect(expectSuccess(await parse(`${ALLOWED}/page.ova`))).toMatchObject({
      accepted: false,
      reason: expect.stringMatching(/is named \.ova, but is no tar archive/),
    });
    await sh(`rm '${ALLOWED}/page.ova'`);
    for (const path of [SECRET, "/etc/passwd", `${ALLOWED}/../../root/x`, ALLOWED])
      expectError(await parse(path), 400, "invalid_input", /^path: /);
    expectError(await server.get("/vmdk/parse"), 400, "invalid_input", /^path: required/);
    await sh(`rm '${ALLOWED}'/over.qcow2 '${ALLOWED}'/snap.vmdk`);
  });
});

test("config/generate: the same, as data; nothing is made", async () => {
  const before = await everything();
  const data = expectSuccess(
    await server.post("/config/generate", {
      vmdk_path: ova,
      vm_name: "plan",
      uefi: true,
      os_type: "linux",
      os_flavor: "debian",
    }),
  );
  expect(data).toMatchObject({
    converter: "qemu-img",
    service: null,
    source: { kind: "ova", accepted: true },
  });
  expect(data.space).toMatchObject({ most_bytes: 2 * 24 * 2 ** 20 });
  expect(data.reasons.service).toMatch(/job/);
  const argvs = data.steps.map((step: { argv: string[] | null }) => step.argv);
  expect(argvs).toContainEqual([
    "qemu-img",
    "convert",
    "-O",
    "qcow2",
    "web-disk2.vmdk",
    at("plan-vdb.qcow2"),
  ]);
  const domain = parseXml(data.domain_xml, "domain");
  expect([textOf(domain, "name"), textOf(domain, "vcpu"), textOf(domain, "memory")]).toEqual([
    "plan",
    "2",
    "96",
  ]);
  expect(data.domain_xml).toContain('firmware="efi"');
  expect(await everything()).toEqual(before);
  writeFileSync("/run/plan.xml", data.domain_xml);
  await virsh("define", "--validate", "--file", "/run/plan.xml");
});

test("config/templates: systems of libosinfo", async () => {
  const data = expectSuccess(await server.get("/config/templates?q=debian%2011"));
  expect(data.templates).toEqual([
    expect.objectContaining({
      ...{
        id: "debian11",
        title: "Debian 11",
        family: "linux",
        osinfo_id: "http://debian.org/debian/11",
      },
      defaults: { memory: 1024, vcpus: 1, disk_bytes: 20 * 2 ** 30 },
    }),
  ]);
  const all = expectSuccess(await server.get("/config/templates?limit=10000"));
  const { stdout } = await run("virt-install", ["--osinfo", "list"]);
  const listed = stdout
    .split("\n")
    .filter(Boolean)
    .flatMap((line) => line.split(", "));
  const ids = new Set(listed);
  const missing = all.templates.filter(({ id }: { id: string }) => !ids.has(id));
  expect(missing.length).toBeLessThan(all.total / 20); // virt-install leaves some out
  expect(all.total).toBeGreaterThan(500);
  expectError(await server.get("/config/templates?limit=0"), 400, "invalid_input", /^limit: /);
});
