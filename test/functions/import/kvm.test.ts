/** POST /import/kvm and its siblings: each bad input is refused by its field, before the hypervisor is asked. */
import { describe, expect, test } from "vitest";
import generate from "../../../functions/config/generate.ts";
import templates from "../../../functions/config/templates.ts";
import convert from "../../../functions/convert/vm.ts";
import importKvm from "../../../functions/import/kvm.ts";
import parse from "../../../functions/vmdk/parse.ts";
import workflow from "../../../functions/workflow/convert.ts";
import { answering } from "../../fixtures/fake.ts";

const never = () => {
  const fake = answering(() => {
    throw new Error("nothing is to be asked");
  });
  return { ...fake, exec: async () => Promise.reject(new Error("nothing is to be run")) };
};

/** Fields that several of them have. */
const SHARED: [string, object, RegExp][] = [
  ["a name that is a path", { vm_name: "../x" }, /^vm_name: /],
  ["a name that is an option", { vm_name: "--all" }, /^vm_name: /],
  ["a UUID for a name", { vm_name: "7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d" }, /^vm_name: /],
  ["no memory", { memory: 0 }, /^memory: /],
  ["memory as text", { memory: "2G" }, /^memory: /],
  ["a bad network", { network: "a/b" }, /^network: /],
  ["networks as a list", { networks: ["default"] }, /^networks: /],
  ["a network that is a number", { networks: { "VM Network": 1 } }, /^networks\.VM Network: /],
  ["keep_macs as text", { keep_macs: "yes" }, /^keep_macs: /],
  ["a bad pool", { pool: "a/b" }, /^pool: /],
  ["osinfo with a quote", { osinfo: "x'y" }, /^osinfo: /],
  ["an unknown field", { nonsense: 1 }, /unknown key "nonsense"/],
];
const OF_IMPORT: [string, object, RegExp][] = [
  ...SHARED,
  ["no vCPU", { cpus: 0 }, /^cpus: /],
  ["too many vCPUs", { cpus: 5000 }, /^cpus: /],
  ["a strange firmware", { firmware: "efi" }, /^firmware: /],
  ["a strange format", { format: "iso" }, /^format: /],
  ["a strange source format", { source_format: "ova" }, /^source_format: /],
  ["a strange bus", { bus: "nvme" }, /^bus: /],
  ["strange drivers", { drivers: true }, /^drivers: /],
  ["start as text", { start: "now" }, /^start: /],
  ["a strange machine", { machine: "q35 -x" }, /^machine: /],
  ["waiting for nothing known", { wait: { for: "luck" } }, /^wait\.for: /],
];

describe("import/kvm", () => {
  test.each<[string, object, RegExp]>([
    ["no path", { image_path: undefined }, /^image_path: required/],
    ["a relative path", { image_path: "web.ova" }, /^image_path: must be an absolute path/],
    ["a path of two lines", { image_path: "/srv/a\nb" }, /^image_path: /],
    ...OF_IMPORT,
  ])("%s", async (_what, input, message) => {
    const whole = { image_path: "/srv/web.ova", ...input } as Parameters<typeof importKvm>[0];
    const refused = importKvm(whole, never());
    await expect(refused).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
  });
});

describe("convert/vm", () => {
  test.each<[string, object, RegExp]>([
    ["no source", { source_path: undefined }, /^source_path: required/],
    ["a relative target", { dest_path: "web.qcow2", import_to_kvm: false }, /^dest_path: must be/],
    ["neither files nor a domain", { import_to_kvm: false }, /^dest_path: needed/],
    ["both", { dest_path: "/srv/x" }, /^dest_path: /],
    [
      "two names of the target",
      { dest_path: "/srv/x", output_path: "/srv/x", import_to_kvm: false },
      /^output_path: /,
    ],
    ["convert_only and a domain", { convert_only: true }, /^convert_only: /],
    ["a domain on VMDKs", { format: "vmdk" }, /^format: /],
    ["compression as text", { compression: "gzip" }, /^compression: /],
    ["a domain on compressed disks", { compression: true }, /^compression: only for files/],
    ...OF_IMPORT,
  ])("%s", async (_what, input, message) => {
    const whole = { source_path: "/srv/web.ova", import_to_kvm: true, ...input };
    const refused = convert(whole as Parameters<typeof convert>[0], never());
    await expect(refused).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
  });

  test("credentials of a vCenter are not taken", async () => {
    const input = {
      source_path: "/srv/web.ova",
      import_to_kvm: true,
      vcenter_creds: { password: "x" },
    };
    await expect(convert(input, never())).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(/^vcenter_creds: .*export the machine as an OVA/),
    });
  });
});

describe.each([
  ["workflow/convert", workflow],
  ["config/generate", generate],
])("%s", (_path, one) => {
  test.each<[string, object, RegExp]>([
    ["no path", { vmdk_path: undefined }, /^vmdk_path: required/],
    ["a relative path", { vmdk_path: "a.vmdk" }, /^vmdk_path: /],
    ["no vCPU", { vcpus: 0 }, /^vcpus: /],
    ["uefi as text", { uefi: "yes" }, /^uefi: /],
    ["a relative folder", { output_dir: "out" }, /^output_dir: /],
    ["drivers as text", { virtio_drivers: "yes" }, /^virtio_drivers: /],
    ["a system that is a number", { os_type: 7 }, /^os_type: /],
    ...SHARED,
  ])("%s", async (_what, input, message) => {
    const whole = { vmdk_path: "/srv/web.ova", ...input } as Parameters<typeof workflow>[0];
    await expect(one(whole, never())).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
  });
});

test("vmdk/parse and config/templates", async () => {
  await expect(parse({ path: "a.vmdk" }, never())).rejects.toThrow(/^path: must be/);
  await expect(parse({} as { path: string }, never())).rejects.toThrow(/^path: required/);
  await expect(templates({ limit: 0 }, never())).rejects.toThrow(/^limit: /);
  await expect(templates({ q: "x".repeat(101) }, never())).rejects.toThrow(/^q: /);
});

test("config/templates reads libosinfo's lines", async () => {
  const lines = `
  <os id="http://debian.org/debian/12">
    <short-id>debian12</short-id>
    <short-id>debianbookworm</short-id>
    <name>Debian &amp; 12</name>
    <family>linux</family>
    <release-date>2023-06-10</release-date>
      <minimum>
        <n-cpus>1</n-cpus>
        <ram>536870912</ram>
      <recommended>
        <ram>2147483648</ram>
        <storage>10</storage>
      <name>A variant</name>
  <os id="http://example.org/none">
    <name>Without a short name</name>`;
  const exec = async () => ({ stdout: lines, stderr: "", exitCode: 0 });
  expect(await templates({}, { ...never(), exec })).toEqual({
    total: 1,
    templates: [
      {
        ...{
          id: "debian12",
          title: "Debian & 12",
          family: "linux",
          osinfo_id: "http://debian.org/debian/12",
        },
        ...{ release_date: "2023-06-10", end_of_life: null },
        defaults: { memory: 2048, vcpus: 1, disk_bytes: 10 },
      },
    ],
  });
  const gone = async () => ({ stdout: "", stderr: "", exitCode: 3 });
  await expect(templates({}, { ...never(), exec: gone })).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringMatching(/osinfo-db/),
  });
});
