/** A domain that is off moves between two hypervisors that share nothing, through the server. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { labPair } from "../../fixtures/live/migrating.ts";
import { define, leftOn, STORE } from "../../fixtures/live/pair.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import type { Machine } from "../../lab/machine.ts";

const pair = labPair();

const post = (path: string, body: object, host = "kvm1") =>
  pair.server.post(`${path}?host=${host}`, body);
const migrate = (body: object, host?: string) => post("/libvirt/domain/migrate", body, host);
const sha = async ({ run }: Machine, path: string) =>
  (await run("sha256sum", path)).split(" ")[0] ?? "";

const disk = (dev: string, file: string, format: string) =>
  `<disk type='file' device='disk'><driver name='qemu' type='${format}'/><source file='${file}'/><target dev='${dev}' bus='virtio'/></disk>`;

const domain = (
  name: string,
  devices: string,
  more = "",
  os = "<os><type arch='x86_64' machine='pc'>hvm</type></os>",
) =>
  `<domain type='qemu'><name>${name}</name><metadata><tags xmlns='https://example.org/tags'><tag>prod</tag></tags>${more}</metadata><memory unit='MiB'>32</memory><vcpu>1</vcpu>${os}<features><acpi/></features><devices><controller type='usb' model='none'/>${devices}</devices></domain>`;

const VM1 = () => domain("vm1", disk("vda", `${STORE}/vm1.qcow2`, "qcow2"));

async function makeVm1(machine: Machine) {
  const script = `cd ${STORE}; head -c 3M /dev/urandom >x.raw; truncate -s 64M x.raw; qemu-img convert -O qcow2 x.raw vm1.qcow2; rm x.raw; virsh -q pool-refresh default`;
  await machine.run("sh", "-c", script);
  await define(machine, VM1());
}

test("its disk, snapshots, tags and autostart arrive, and the source has it no more", async () => {
  const { kvm1, kvm2 } = pair;
  await makeVm1(kvm1);
  await kvm1.virsh("snapshot-create-as", "vm1", "first");
  await kvm1.virsh("snapshot-create-as", "vm1", "second");
  await kvm1.virsh("snapshot-revert", "vm1", "first");
  await kvm1.virsh("autostart", "vm1");
  const sum = await sha(kvm1, `${STORE}/vm1.qcow2`);
  const text = await kvm1.virsh("dumpxml", "vm1", "--inactive");
  const wish = { name: "vm1", to: "kvm2", copy_storage: "all" };
  const dry = expectSuccess(await migrate({ ...wish, dry_run: true }));
  expect(dry).toMatchObject({
    ...{ from: "kvm1", to: "kvm2", live: false, dry_run: true, snapshots: null },
    disks: [{ target: "vda", action: "copy", to: `${STORE}/vm1.qcow2` }],
    flow: { disks: "from kvm1 (SSH) through this server to kvm2 (SSH)", memory: null },
  });
  expect(dry.checks.filter(({ status }: { status: string }) => status !== "pass")).toEqual([]);
  expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
  const data = expectSuccess(await migrate(wish));
  expect(data).toMatchObject({ snapshots: 2, source: "undefined" });
  expect((await leftOn(kvm1)).domains).toEqual([]);
  expect(await kvm2.virsh("dumpxml", "vm1", "--inactive")).toBe(text);
  expect(await sha(kvm2, `${STORE}/vm1.qcow2`)).toBe(sum);
  expect((await kvm2.virsh("snapshot-list", "vm1", "--name")).trim().split("\n")).toEqual([
    "first",
    "second",
  ]);
  expect((await kvm2.virsh("snapshot-current", "vm1", "--name")).trim()).toBe("first");
  expect(await kvm2.virsh("snapshot-info", "vm1", "second")).toMatch(/Parent: +first/);
  await kvm2.virsh("snapshot-revert", "vm1", "second");
  expect(await kvm2.virsh("dominfo", "vm1")).toMatch(/Autostart: +enable/);
  expect(await leftOn(kvm2)).toEqual({ domains: ["vm1"], files: [`${STORE}/vm1.qcow2`] });
  await kvm2.virsh("start", "vm1");
});

test("UEFI with its variables, a TPM with its state, a raw disk and a file of no pool", async () => {
  const { kvm1, kvm2 } = pair;
  const loose = "/var/lib/libvirt/vms/loose.raw";
  for (const { run } of [kvm1, kvm2]) await run("mkdir", "-p", "/var/lib/libvirt/vms");
  await kvm1.run(
    "sh",
    "-c",
    `head -c 5000 /dev/urandom >${loose}; truncate -s 1M ${loose}; chmod 640 ${loose}`,
  );
  await kvm1.run(
    "sh",
    "-c",
    `cd ${STORE}; head -c 2M /dev/urandom >r.raw; truncate -s 32M r.raw; virsh -q pool-refresh default`,
  );
  const os = "<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os>";
  const disks = disk("vda", `${STORE}/r.raw`, "raw") + disk("vdb", loose, "raw");
  const devices = `${disks}<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>`;
  await define(kvm1, domain("uefi", devices, "", os));
  await kvm1.virsh("start", "uefi");
  await kvm1.virsh("destroy", "uefi");
  const nvram = (await kvm1.run("sh", "-c", "ls /var/lib/libvirt/qemu/nvram/*")).trim();
  await kvm1.run(
    "sh",
    "-c",
    `printf marked | dd of=${nvram} bs=1 seek=500 conv=notrunc status=none`,
  );
  const uuid = (await kvm1.virsh("domuuid", "uefi")).trim();
  const state = `/var/lib/libvirt/swtpm/${uuid}`;
  const tpm = await kvm1.run(
    "sh",
    "-c",
    `cd ${state} && find . | sort; stat -c %U:%G:%a . tpm2 tpm2/*; sha256sum tpm2/tpm2-00.permall`,
  );
  const sumsOn = (machine: Machine) =>
    Promise.all([nvram, `${STORE}/r.raw`, loose].map((path) => sha(machine, path)));
  const sums = await sumsOn(kvm1);
  const data = expectSuccess(await migrate({ name: "uefi", to: "kvm2", copy_storage: "all" }));
  expect(data.source).toBe("undefined");
  expect(await sumsOn(kvm2)).toEqual(sums);
  expect((await kvm2.run("stat", "-c", "%a %b", loose)).trim()).toMatch(/^640 \d{1,3}$/);
  expect(
    await kvm2.run(
      "sh",
      "-c",
      `cd ${state} && find . | sort; stat -c %U:%G:%a . tpm2 tpm2/*; sha256sum tpm2/tpm2-00.permall`,
    ),
  ).toBe(tpm);
  await kvm2.virsh("start", "uefi");
});

test("what cannot be is refused before anything is made, check by check", async () => {
  const { kvm1, kvm2 } = pair;
  await makeVm1(kvm1);
  const wish = { name: "vm1", to: "kvm2", copy_storage: "all" };
  expectError(await migrate({ ...wish, to: "kvm1" }), 400, "invalid_input", /^to: kvm1 is the hyp/);
  expectError(await migrate({ ...wish, to: "x" }), 400, "invalid_input", /^to: unknown hypervisor/);
  expectError(
    await migrate({ name: "vm1", to: "kvm2" }),
    500,
    "unsupported",
    /kvm2 has no .*vm1.qcow2/,
  );
  await makeVm1(kvm2);
  await kvm2.virsh("undefine", "vm1");
  const other = migrate({ name: "vm1", to: "kvm2" });
  expectError(await other, 500, "unsupported", /vm1.qcow2 of kvm2 is another than that of kvm1/);
  await define(kvm2, VM1());
  const taken = await post("/migration/compatibility", { vm_id: "vm1", platform: "kvm2" });
  const { compatible, checks } = expectSuccess(taken);
  expect(compatible).toBe(false);
  const failed = checks.filter(({ status }: { status: string }) => status === "fail");
  expect(failed.map(({ item }: { item: string }) => item).sort()).toEqual(["name", "storage"]);
  expectError(await migrate(wish), 500, "already_exists", /kvm2 has a domain vm1 already/);
  expect((await leftOn(kvm2)).domains).toEqual(["vm1"]);
});

test("a disk that is full there: nothing is left, and the source is as it was", async () => {
  const { kvm1, kvm2 } = pair;
  await makeVm1(kvm1);
  await kvm2.run(
    "sh",
    "-c",
    `mkdir -p /run/small; mount -t tmpfs -o size=2m tmpfs /run/small; virsh -q pool-define-as small dir --target /run/small; virsh -q pool-start small`,
  );
  const wish = { name: "vm1", to: "kvm2", copy_storage: "all", target_pool: "small" };
  expectError(await migrate(wish), 500, "no_space", /space: pool small of kvm2 has/);
  await kvm1.run(
    "sh",
    "-c",
    `cd ${STORE}; truncate -s 0 vm1.qcow2; qemu-img create -q -f raw vm1.raw 1G; virsh -q undefine vm1`,
  );
  await define(kvm1, domain("vm1", disk("vda", `${STORE}/vm1.raw`, "raw")));
  const text = await kvm1.virsh("dumpxml", "vm1", "--inactive");
  expectError(await migrate(wish), 500, "no_space", /./);
  expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
  expect((await kvm2.run("ls", "-A", "/run/small")).trim()).toBe("");
  expect(await kvm1.virsh("dumpxml", "vm1", "--inactive")).toBe(text);
  await kvm2.run(
    "sh",
    "-c",
    "virsh -q pool-destroy small; virsh -q pool-undefine small; umount /run/small",
  );
});

test("to a pool of another name the definition follows, and undefine_source: false keeps both", async () => {
  const { kvm1, kvm2 } = pair;
  await makeVm1(kvm1);
  await kvm2.run(
    "sh",
    "-c",
    "mkdir -p /run/other; virsh -q pool-define-as other dir --target /run/other; virsh -q pool-start other",
  );
  const wish = { name: "vm1", to: "kvm2", copy_storage: "all", target_pool: "other" };
  const data = expectSuccess(await migrate({ ...wish, undefine_source: false }));
  expect(data.source).toBe("defined");
  expect(data.disks).toMatchObject([{ to: "/run/other/vm1.qcow2" }]);
  expect(await kvm2.virsh("domblklist", "vm1")).toContain("/run/other/vm1.qcow2");
  expect((await leftOn(kvm1)).domains).toEqual(["vm1"]);
  await kvm2.virsh("start", "vm1");
  await kvm2.virsh("destroy", "vm1");
  await kvm2.run(
    "sh",
    "-c",
    "virsh -q undefine vm1; virsh -q pool-destroy other; virsh -q pool-undefine other; rm -r /run/other",
  );
});

test("on storage that both see nothing is copied, and no file is touched", async () => {
  const { kvm1, kvm2 } = pair;
  const folder = mkdtempSync(join(tmpdir(), "shared-"));
  const file = join(folder, "vm1.raw");
  await kvm1.run("sh", "-c", `head -c 1M /dev/urandom >${file}`);
  await define(kvm1, domain("vm1", disk("vda", file, "raw")));
  const sum = await sha(kvm1, file);
  const data = expectSuccess(await migrate({ name: "vm1", to: "kvm2" }));
  expect(data).toMatchObject({
    disks: [{ target: "vda", action: "keep", from: file }],
    ...{ source: "undefined", kept_files: [], flow: { disks: null } },
  });
  expect([(await leftOn(kvm1)).domains, (await leftOn(kvm2)).domains]).toEqual([[], ["vm1"]]);
  expect(await sha(kvm2, file)).toBe(sum);
  rmSync(folder, { recursive: true });
});
