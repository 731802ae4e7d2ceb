/** POST /import/kvm: what VMware, VirtualBox and Hyper-V write becomes domains that run. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { children, textOf } from "../../../runtime/libvirt/xml.ts";
import {
  bootSector,
  type Machine,
  manifest,
  pack,
  rawDisks,
  says,
  virtualBoxOvf,
  vmwareOvf,
} from "../../fixtures/live/appliances.ts";
import { efiApplication } from "../../fixtures/live/efi-application.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  diskPaths,
  everything,
  image,
  imageInfo,
  names,
  parsed,
  same,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import {
  clean,
  defineNetwork,
  expectError,
  expectSuccess,
  storedNics,
} from "../../fixtures/live/virsh.ts";

const run = promisify(execFile);
const { test, server } = labTest({ start, tidy: wipe });

const ALLOWED = "/srv/moving";
const CAPACITY = 24 * 2 ** 20;
const SECRET = "/run/secret-of-the-host";

beforeAll(async () => {
  mkdirSync(ALLOWED, { recursive: true });
  writeFileSync(SECRET, "secret\n".repeat(2000));
  for (const name of ["default", "lan"]) {
    await defineNetwork(name);
    await virsh("net-start", name);
  }
});
afterAll(async () => {
  await clean();
  rmSync(ALLOWED, { recursive: true });
});

const take = (image_path: string, more: object = {}) =>
  server.post("/import/kvm", { image_path, ...more });

/** A folder with the two disks of an appliance, converted, and what they hold. */
async function twoDisks(
  name: string,
  options = "-O vmdk -o subformat=streamOptimized",
  ending = "vmdk",
) {
  const folder = join(ALLOWED, `${name}.work`);
  const raw = await rawDisks(join(ALLOWED, `${name}.raw`), bootSector(name), `SECOND ${name}\n\0`);
  mkdirSync(folder);
  const disks: Machine["disks"] = [];
  for (const [i, path] of raw.entries()) {
    const file = `${name}-disk${i + 1}.${ending}`;
    await run("qemu-img", [
      "convert",
      "-f",
      "raw",
      ...options.split(" "),
      path,
      join(folder, file),
    ]);
    disks.push({ file, size: statSync(join(folder, file)).size, capacity: CAPACITY });
  }
  return { folder, disks, raw };
}

/** An OVA as one of them writes it. */
async function ova(
  name: string,
  how: "vmware" | "virtualbox",
  machine: Partial<Machine> = {},
  { format = "ustar" } = {},
) {
  const { folder, disks, raw } = await twoDisks(name);
  const write = how === "vmware" ? vmwareOvf : virtualBoxOvf;
  writeFileSync(join(folder, `${name}.ovf`), write({ name, disks, ...machine }));
  const files = disks.map(({ file }) => file);
  const list = manifest(folder, [`${name}.ovf`, ...files], how);
  writeFileSync(join(folder, `${name}.mf`), list);
  const order =
    how === "vmware"
      ? [`${name}.ovf`, `${name}.mf`, ...files]
      : [`${name}.ovf`, ...files, `${name}.mf`];
  return { path: await pack(folder, join(ALLOWED, `${name}.ova`), order, format), raw };
}

describe("becomes a domain that runs", () => {
  test("an OVA of VMware: CPUs, memory, disks in order, networks, MACs", async () => {
    const networks = [
      { network: "VM Network", mac: "00:50:56:01:02:03" },
      { network: "Storage", mac: "00:50:56:01:02:04" },
      { network: "Other" },
    ];
    const { path, raw } = await ova("web", "vmware", { networks });
    const answer = await take(path, {
      ...{ networks: { "VM Network": "lan", Other: null }, keep_macs: true, start: true },
    });
    const data = expectSuccess(answer, 201);
    expect(data).toMatchObject({
      ...{ name: "web", memory: 96, vcpus: 2, firmware: "bios", started: true },
      source: { path, kind: "ova", name: "web", guest: "debian11_64Guest", manifest: true },
    });
    expect(await storedNics("web")).toEqual([
      { mac: "00:50:56:01:02:03", network: "lan", model: "virtio" },
      { mac: "00:50:56:01:02:04", network: "default", model: "virtio" },
    ]);
    const paths = await diskPaths("web");
    expect(paths).toEqual([at("web.qcow2"), at("web-vdb.qcow2")]);
    await says("web", "BOOTED web");
    await virsh("destroy", "web");
    for (const [i, one] of paths.entries()) {
      expect(await imageInfo(one)).toMatchObject({ format: "qcow2", "virtual-size": CAPACITY });
      expect(await same(one, `${raw[i]}`)).toBe(true);
    }
    const domain = await parsed("web");
    expect([textOf(domain, "vcpu"), textOf(domain, "memory")]).toEqual(["2", `${96 * 1024}`]);
    expect((await virsh("vol-list", "default")).split("\n").filter(Boolean)).toHaveLength(2);
  });

  test("an OVA of VirtualBox, with EFI and another name", async () => {
    const { path, raw } = await ova("box", "virtualbox", { firmware: "EFI" });
    const data = expectSuccess(
      await take(path, {
        vm_name: "it's box",
        memory: 128,
        cpus: 2,
        format: "raw",
        firmware: "bios",
        start: true,
      }),
      201,
    );
    expect(data).toMatchObject({
      ...{ name: "it's box", memory: 128, vcpus: 2, firmware: "bios" },
      source: { kind: "ova", name: "box", guest: "Debian_64 Debian_64", manifest: true },
    });
    await says("it's box", "BOOTED box");
    await virsh("destroy", "it's box");
    const [one = "", two = ""] = await diskPaths("it's box");
    expect([await same(one, `${raw[0]}`), await same(two, `${raw[1]}`)]).toEqual([true, true]);
    const [nic] = await storedNics("it's box");
    expect([nic?.network, nic?.mac]).toEqual(["default", expect.stringMatching(/^52:54:00/)]);
    expectSuccess(await take(path, { vm_name: "efi", keep_macs: true }), 201);
    expect((await parsed("efi")).os).toMatchObject([{ "@firmware": "efi" }]);
    expect((await storedNics("efi"))[0]?.mac).toBe("08:00:27:ab:cd:ef");
  });

  test.each(["gnu", "pax"])("an OVA packed by tar in the format %s", async (format) => {
    const { path } = await ova(`tar-${format}`, "vmware", {}, { format });
    expectSuccess(await take(path), 201);
    expect(await diskPaths(`tar-${format}`)).toHaveLength(2);
  });

  test.each(["an OVA", "an OVF"])("%s whose description writes names as in a URL", async (what) => {
    const { folder, disks } = await twoDisks("my vm");
    const coded = disks.map((disk) => ({ ...disk, file: encodeURIComponent(disk.file) }));
    writeFileSync(join(folder, "my vm.ovf"), vmwareOvf({ name: "coded", disks: coded }));
    const files = ["my vm.ovf", ...disks.map(({ file }) => file)];
    const list = manifest(folder, files, "vmware");
    const [, second = ""] = files.slice(1); // which the manifest writes so, too
    writeFileSync(join(folder, "my vm.mf"), list.replace(second, encodeURIComponent(second)));
    const path =
      what === "an OVF"
        ? join(folder, "my vm.ovf")
        : await pack(folder, join(ALLOWED, "coded.ova"), [...files, "my vm.mf"]);
    const data = expectSuccess(await take(path), 201);
    expect(data.source).toMatchObject({ manifest: true });
    expect(data.disks).toHaveLength(2);
    rmSync(folder, { recursive: true, force: true });
  });

  test("an OVF with its disks and manifest beside it", async () => {
    const { folder, disks } = await twoDisks("beside");
    writeFileSync(join(folder, "beside.ovf"), vmwareOvf({ name: "beside", disks }));
    const files = disks.map(({ file }) => file);
    writeFileSync(join(folder, "beside.mf"), manifest(folder, ["beside.ovf", ...files], "vmware"));
    const data = expectSuccess(await take(join(folder, "beside.ovf"), { start: true }), 201);
    expect(data.source).toMatchObject({ kind: "ovf", manifest: true });
    await says("beside", "BOOTED beside");
  });

  test("a VMX beside its VMDKs, sparse and flat", async () => {
    const { folder } = await twoDisks("vmx", "-O vmdk -o subformat=monolithicSparse");
    await sh(
      `cd '${folder}'; qemu-img convert -f vmdk -O vmdk -o subformat=monolithicFlat vmx-disk2.vmdk flat.vmdk; rm vmx-disk2.vmdk`,
    );
    writeFileSync(
      join(folder, "vm x.vmx"),
      [
        '.encoding = "UTF-8"',
        'config.version = "8"',
        'virtualHW.version = "18"',
        'displayName = "vm |22x|22"',
        'memsize = "96"',
        'numvcpus = "2"',
        'guestOS = "debian11-64"',
        'scsi0.present = "TRUE"',
        'scsi0:1.present = "TRUE"',
        'scsi0:1.fileName = "flat.vmdk"',
        'scsi0:0.present = "TRUE"',
        'scsi0:0.fileName = "vmx-disk1.vmdk"',
        'ide1:0.present = "TRUE"',
        'ide1:0.deviceType = "cdrom-image"',
        'ide1:0.fileName = "/usr/lib/vmware/isoimages/linux.iso"',
        'ethernet0.present = "TRUE"',
        'ethernet0.connectionType = "nat"',
        'ethernet0.generatedAddress = "00:0C:29:01:02:03"',
        'ethernet1.present = "FALSE"',
        "",
      ].join("\r\n"),
    );
    const data = expectSuccess(
      await take(join(folder, "vm x.vmx"), {
        networks: { nat: "lan" },
        keep_macs: true,
        start: true,
      }),
      201,
    );
    expect(data).toMatchObject({ name: 'vm "x"', vcpus: 2, memory: 96, source: { kind: "vmx" } });
    await says('vm "x"', "BOOTED vmx");
    expect(await storedNics('vm "x"')).toMatchObject([
      { network: "lan", mac: "00:0c:29:01:02:03" },
    ]);
  });

  test.each([
    ["a dynamic VHD", "vpc", "-o subformat=dynamic,force_size=on", "vhd"],
    ["a fixed VHD", "vpc", "-o subformat=fixed,force_size=on", "vhd"],
    ["a VHDX", "vhdx", "", "vhdx"],
    ["a VDI", "vdi", "", "vdi"],
    ["a qcow2", "qcow2", "", "qcow2"],
    ["a raw image", "raw", "", "img"],
  ])("%s alone", async (_what, format, options, ending) => {
    const [raw = ""] = await rawDisks(join(ALLOWED, "alone"), bootSector(ending));
    const path = join(ALLOWED, `alone.${ending}`);
    await sh(`qemu-img convert -f raw -O ${format} ${options} '${raw}' '${path}'`);
    const data = expectSuccess(await take(path, { network: "lan", memory: 64, start: true }), 201);
    expect(data).toMatchObject({
      name: "alone",
      memory: 64,
      vcpus: 2,
      source: { kind: "image", manifest: false },
    });
    expect(await storedNics("alone")).toMatchObject([{ network: "lan", model: "virtio" }]);
    await says("alone", `BOOTED ${ending}`);
    await virsh("destroy", "alone");
    const [disk = ""] = await diskPaths("alone");
    expect(await same(disk, raw)).toBe(true);
  });

  test("an image where there is no network default", async () => {
    const path = join(ALLOWED, "lonely.img");
    await sh(`truncate -s 1M '${path}'`);
    await virsh("net-destroy", "default");
    await virsh("net-undefine", "default");
    try {
      expectError(
        await take(path),
        404,
        "not_found",
        /^network: .*create it, name another, or give null for none$/,
      );
      expectSuccess(await take(path, { network: null }), 201);
      expect(await storedNics("lonely")).toEqual([]);
    } finally {
      await defineNetwork("default");
      await virsh("net-start", "default");
    }
  });

  test("a VHDX of generation 2: UEFI, by the caller's word", async () => {
    const program = join(ALLOWED, "boot.efi");
    writeFileSync(program, efiApplication("BOOTED by UEFI"));
    const raw = `'${ALLOWED}/gen2.raw'`;
    await sh(`truncate -s 48M ${raw}; mkfs.vfat -F 32 ${raw} >/dev/null
      mmd -i ${raw} ::EFI ::EFI/BOOT; mcopy -i ${raw} '${program}' ::EFI/BOOT/BOOTX64.EFI
      qemu-img convert -f raw -O vhdx ${raw} '${ALLOWED}/gen2.vhdx'`);
    const gen2 = { firmware: "uefi", start: true, memory: 256 };
    const data = expectSuccess(await take(join(ALLOWED, "gen2.vhdx"), gen2), 201);
    expect(data).toMatchObject({ name: "gen2", firmware: "uefi", started: true });
    await says("gen2", "BOOTED by UEFI");
  });

  test("Windows: buses for which it brings drivers", async () => {
    const { path } = await ova("win", "vmware", { os: "windows9_64Guest" });
    expectSuccess(await take(path), 201);
    const domain = await parsed("win");
    const buses = children(domain, "devices", "disk", "target").map((one) => one["@bus"]);
    expect(buses).toEqual(["sata", "sata"]);
    expect(await storedNics("win")).toMatchObject([{ model: "e1000e" }]);
    expect(JSON.stringify(domain.metadata)).toContain("microsoft.com/win/10");
  });
});

describe("refused, and nothing is left", () => {
  /** An OVA of two disks, in whose folder `change` does something before it is packed. */
  async function spoiled(
    change: (folder: string, files: string[]) => Promise<unknown> | unknown,
    machine: Partial<Machine> = {},
    { withManifest = true, files = (all: string[]) => all } = {},
  ) {
    const { folder, disks } = await twoDisks("bad");
    writeFileSync(join(folder, "bad.ovf"), vmwareOvf({ name: "bad", disks, ...machine }));
    const all = ["bad.ovf", ...disks.map(({ file }) => file)];
    if (withManifest) writeFileSync(join(folder, "bad.mf"), manifest(folder, all, "vmware"));
    await change(folder, all);
    const members = withManifest ? [...all, "bad.mf"] : all;
    return pack(folder, join(ALLOWED, "bad.ova"), files(members));
  }

  async function refused(path: string, text: RegExp, more: object = {}) {
    const before = await everything();
    expectError(await take(path, more), 400, "invalid_input", text);
    expect(await everything()).toEqual(before);
    expect(await names()).toEqual([]);
  }

  test.each<[string, (folder: string, files: string[]) => unknown, RegExp]>([
    [
      "the second disk was changed",
      (folder) =>
        sh(
          `printf x >>'${folder}/bad-disk2.vmdk'; sed -i 's/ovf:size="[0-9]*"//g' '${folder}/bad.ovf'; cd '${folder}'; h=$(sha256sum bad.ovf | cut -d' ' -f1); sed -i "s/(bad.ovf)= .*/(bad.ovf)= $h/" bad.mf`,
        ),
      /^image_path: .*bad-disk2\.vmdk: the file was changed or damaged/,
    ],
    [
      "the OVF was changed",
      (folder) => sh(`sed -i 's/<Name>bad/<Name>good/' '${folder}/bad.ovf'`),
      /manifest with another digest of bad\.ovf/,
    ],
    [
      "the manifest lacks a disk",
      (folder) => sh(`sed -i '/disk2/d' '${folder}/bad.mf'`),
      /manifest that has no digest of bad-disk2\.vmdk/,
    ],
    [
      "the manifest names a file that is not there",
      (folder) => sh(`echo 'SHA1(gone.iso)= ${"0".repeat(40)}' >>'${folder}/bad.mf'`),
      /digest of gone\.iso, which is not in it/,
    ],
    [
      "the manifest is none",
      (folder) => writeFileSync(join(folder, "bad.mf"), "MD5(bad.ovf)= 00\n"),
      /which is no digest/,
    ],
  ])("a manifest that does not match: %s", async (_what, change, text) => {
    await refused(await spoiled(change), text);
  });

  test.each<[string, Partial<Machine>, RegExp]>([
    [
      "an entity of a file",
      { head: `<!DOCTYPE x [<!ENTITY e SYSTEM "file://${SECRET}">]>` },
      /document type or entities/,
    ],
    [
      "a bomb of entities",
      { head: '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' },
      /document type or entities/,
    ],
    [
      "a second machine",
      { more: '<VirtualSystem ovf:id="two"/>' },
      /several virtual machines \(bad, two\)/,
    ],
    ["a million vCPUs", { vcpus: 1_000_000 }, /vcpus/],
    ["no memory", { memory: 0 }, /memory/],
  ])("an OVF with %s", async (_what, machine, text) => {
    await refused(await spoiled(() => {}, machine), text);
  });

  test.each([
    ["by a path", "../../../../run/secret-of-the-host"],
    ["by an absolute path", SECRET],
    ["in a folder", "folder/disk.vmdk"],
  ])("an OVF whose disk leads out %s", async (_how, href) => {
    const make = (folder: string) => sh(`sed -i 's#bad-disk2.vmdk#${href}#' '${folder}/bad.ovf'`);
    await refused(
      await spoiled(make, {}, { withManifest: false }),
      /names the file .*, which lies elsewhere/,
    );
  });

  test("an archive whose members lead out, are links, or are there twice", async () => {
    const swap = (name: string) => (files: string[]) => [...files, name];
    const none = { withManifest: false };
    await refused(
      await spoiled(
        (folder) => sh(`ln -s ${SECRET} '${folder}/link.vmdk'`),
        {},
        { ...none, files: swap("link.vmdk") },
      ),
      /"link\.vmdk" in it, which is no file/,
    );
    await refused(
      await spoiled(
        (folder) => mkdirSync(join(folder, "dir")),
        {},
        { ...none, files: swap("dir") },
      ),
      /which is no file/,
    );
    await refused(
      await spoiled(() => {}, {}, { ...none, files: swap("bad-disk1.vmdk") }),
      /"bad-disk1\.vmdk" in it, which is no file \(type "1"\)/,
    );
    const path = await spoiled(() => {}, {}, none);
    await sh(
      `cd '${ALLOWED}'; mkdir up; tar --format=ustar -rPf bad.ova --transform 's#.*#../../etc/cron.d/x#' /etc/hostname; rmdir up`,
    );
    await refused(path, /names the file .*cron\.d\/x", which lies elsewhere/);
  });

  test("an archive that lies about sizes, is cut off, or is damaged", async () => {
    const none = { withManifest: false };
    const path = await spoiled(() => {}, {}, none);
    await sh(`cp '${path}' '${path}.cut'; truncate -s 600K '${path}.cut'`);
    await refused(`${path}.cut`, /has \d+ bytes, and ends before/);
    await sh(
      `cp '${path}' '${path}.odd'; printf X | dd of='${path}.odd' bs=1 seek=130 conv=notrunc status=none`,
    );
    await refused(`${path}.odd`, /damaged header/);
    await refused(
      await spoiled(
        (folder) => sh(`sed -i 's/ovf:size="[0-9]*"/ovf:size="7"/' '${folder}/bad.ovf'`),
        {},
        none,
      ),
      /says in its OVF that bad-disk\d\.vmdk has 7 bytes/,
    );
    const [file] = await rawDisks(join(ALLOWED, "notar"), "x");
    await sh(`tar --format=ustar -cf '${ALLOWED}/no.ova' -C '${ALLOWED}/notar' raw0`);
    expect(existsSync(`${file}`)).toBe(true);
    await refused(`${ALLOWED}/no.ova`, /without an OVF/);
  });

  test.each<[string, string, RegExp]>([
    [
      "stands on a file of the host",
      `qemu-img create -q -u -f qcow2 -b ${SECRET} -F raw DISK 10M`,
      /backing file/,
    ],
    [
      "has its data elsewhere",
      `qemu-img create -q -f qcow2 -o data_file=${SECRET}.x,data_file_raw=on DISK 10M`,
      /data in another file/,
    ],
    [
      "is a VMDK of other files",
      `printf '# Disk DescriptorFile\\nversion=1\\nCID=1\\nparentCID=ffffffff\\ncreateType="monolithicFlat"\\nRW 20 FLAT "${SECRET}" 0\\n' >DISK`,
      /VMDK descriptor, whose data is in other files/,
    ],
    ["is an archive", "xz -c </dev/zero | head -c 2000 >DISK", /xz archive/],
    ["is cut off", "truncate -s 200K DISK", /truncated|damaged/],
    [
      "is encrypted",
      "qemu-img create -q --object secret,id=s,data=x -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s DISK 10M",
      /is encrypted/,
    ],
  ])("a second disk that %s", async (_what, make, text) => {
    const change = (folder: string) =>
      sh(
        `rm -f ${SECRET}.x; ${make.replaceAll("DISK", `'${folder}/bad-disk2.vmdk'`)}; sed -i 's/ovf:size="[0-9]*"//g' '${folder}/bad.ovf'`,
      );
    await refused(await spoiled(change, {}, { withManifest: false }), text);
  });

  test.each<[string, string, RegExp]>([
    ["leads out", `scsi0:0.fileName = "../../root/x.vmdk"`, /which lies elsewhere/],
    ["leads out absolutely", `scsi0:0.fileName = "${SECRET}"`, /which lies elsewhere/],
    ["is a link that leads out", `scsi0:0.fileName = "link.vmdk"`, /not in an allowed folder/],
    ["is not there", `scsi0:0.fileName = "gone.vmdk"`, /is no file/],
    ["is flat, and leads out", `scsi0:0.fileName = "out.vmdk"`, /which lies elsewhere/],
    [
      "is flat, and shorter than it says",
      `scsi0:0.fileName = "short.vmdk"`,
      /says that short-flat\.vmdk has \d+ bytes/,
    ],
    ["is of a snapshot", `scsi0:0.fileName = "snap.vmdk"`, /snapshot/],
    ["is of several files", `scsi0:0.fileName = "split.vmdk"`, /more than one flat file/],
  ])("a VMX whose disk %s", async (_what, line, text) => {
    const folder = join(ALLOWED, "vmx-bad");
    mkdirSync(folder);
    const descriptor = (extents: string, parent = "ffffffff") =>
      `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=${parent}\ncreateType="vmfs"\n${extents}\n`;
    await sh(`ln -s ${SECRET} '${folder}/link.vmdk'; truncate -s 1M '${folder}/short-flat.vmdk'`);
    writeFileSync(join(folder, "out.vmdk"), descriptor(`RW 20 FLAT "${SECRET}" 0`));
    writeFileSync(join(folder, "short.vmdk"), descriptor('RW 20480 VMFS "short-flat.vmdk"'));
    writeFileSync(
      join(folder, "snap.vmdk"),
      descriptor('RW 2048 VMFS "short-flat.vmdk"', "12345678"),
    );
    writeFileSync(
      join(folder, "split.vmdk"),
      descriptor('RW 2048 SPARSE "a.vmdk"\nRW 2048 SPARSE "b.vmdk"'),
    );
    writeFileSync(
      join(folder, "bad.vmx"),
      `config.version = "8"\ndisplayName = "bad"\nscsi0:0.present = "TRUE"\n${line}\n`,
    );
    await refused(join(folder, "bad.vmx"), text);
    rmSync(folder, { recursive: true });
  });

  test.each(["ova", "vmdk", "qcow2", "vhdx", "txt"])("a text named .%s", async (ending) => {
    const path = join(ALLOWED, `page.${ending}`);
    writeFileSync(path, "not found\n".repeat(400));
    const why = ending === "txt" ? /is text and no disk/ : RegExp(`is named \\.${ending}, but`);
    await refused(path, why);
    rmSync(path);
  });

  test("a pool that is too small, at the first disk and at the second", async ({ pool }) => {
    const { path } = await ova("large", "vmware");
    for (const size of ["1m", "3m", "6m"]) {
      const name = `small-${size}`;
      const folder = await pool(name, size);
      const answer = await take(path, { pool: name });
      expectError(answer, 500, "no_space", /left|free|space/i);
      expect([readdirSync(folder), await names()]).toEqual([[], []]);
    }
  });

  test("paths, names, networks, pools: before a byte is copied", async () => {
    const { path } = await ova("fine", "vmware");
    await image("fine.qcow2");
    const before = await everything();
    for (const bad of [SECRET, "/etc/passwd", `${ALLOWED}/../../root/x`, ALLOWED])
      expectError(await take(bad), 400, "invalid_input", /^image_path: /);
    expectError(await take(path), 500, "already_exists", /^vm_name: volume fine\.qcow2/);
    expectError(
      await take(path, { vm_name: "new", network: "gone" }),
      404,
      "not_found",
      /^network: .*gone/,
    );
    expectError(
      await take(path, { vm_name: "new", networks: { Other: "lan" } }),
      400,
      "invalid_input",
      /^networks: the source has no network "Other"; its networks are "VM Network"/,
    );
    expectError(
      await take(path, { vm_name: "new", pool: "gone" }),
      404,
      "not_found",
      /^pool: .*gone/,
    );
    expect(await everything()).toEqual(before);
    expectSuccess(await take(path, { vm_name: "new" }), 201);
    expectError(
      await take(path, { vm_name: "new" }),
      500,
      "already_exists",
      /^vm_name: domain 'new' already exists/,
    );
    writeFileSync(join(ALLOWED, "-.img"), bootSector("x"));
    expectError(
      await take(join(ALLOWED, "-.img")),
      400,
      "invalid_input",
      /^vm_name: required, since/,
    );
  });
});
