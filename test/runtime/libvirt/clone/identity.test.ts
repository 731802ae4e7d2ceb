/**
 * What a clone's definition is: the source's, byte for byte, but for the lines listed here. Through the
 * whole engine, over a folder of definitions as libvirt gives them, and beside what virt-clone makes of them.
 */
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { cloneDomain } from "../../../../runtime/libvirt/clone/clone.ts";
import { siblingPath } from "../../../../runtime/libvirt/clone/identity.ts";
import { addMark, readMark } from "../../../../runtime/libvirt/clone/template-mark.ts";
import { parseXml } from "../../../../runtime/libvirt/xml.ts";
import { XmlDocument } from "../../../../runtime/libvirt/xml-document.ts";
import { canonical } from "../../../fixtures/canonical.ts";
import { cloning } from "../../../fixtures/cloning.ts";
import { diff } from "../../../fixtures/diff.ts";

const FOLDER = join(import.meta.dirname, "../../../fixtures/xml");
const state = mkdtempSync(join(tmpdir(), "clone-xml-"));
process.env.XDG_STATE_HOME = state;
afterAll(() => rmSync(state, { recursive: true }));

const read = (file: string) => readFileSync(join(FOLDER, `${file}.xml`), "utf8");
const nameOf = (text: string) => {
  const doc = new XmlDocument(text);
  return doc.textOf(doc.find("name")[0]) ?? "";
};

async function clone(source: string, options: { newMac?: boolean; linked?: boolean } = {}) {
  const { context, defined, ran, calls } = cloning(source);
  const made = await cloneDomain(context, {
    source: nameOf(source),
    target: "new & 'better'",
    ...options,
  });
  expect(defined.length).toBe(1);
  const [text = ""] = defined;
  // what is new every time
  const known = text.replaceAll(made.uuid, "UUID");
  return {
    made,
    ran,
    calls,
    text: made.macs.reduce((all, mac, i) => all.replace(mac, `MAC${i}`), known),
  };
}

const NEW = "new &amp; &apos;better&apos;";
const named = (was: string, uuid: string) => [
  `- <name>${was}</name>`,
  `- <uuid>3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a${uuid}</uuid>`,
  `+ <name>${NEW}</name>`,
  "+ <uuid>UUID</uuid>",
];
const mac = (was: string, i = 0) => [`- <mac address='${was}'/>`, `+ <mac address='MAC${i}'/>`];

/** Every line that differs; no other may. */
const DIFFERENCES: Record<string, string[]> = {
  plain: [
    ...named("base-vm", "01"),
    "- <source file='/pool/base-vm.qcow2'/>",
    `+ <source file='/pool/${NEW}.qcow2'/>`,
    ...mac("52:54:00:0a:00:01"),
    "- <target dev='tap-web'/>",
    ...mac("52:54:00:0a:00:02", 1),
    "- <graphics type='vnc' port='5901' autoport='no' websocket='5701' listen='127.0.0.1' passwd='a&apos;b'>",
    "+ <graphics type='vnc' port='-1' autoport='yes' websocket='-1' listen='127.0.0.1' passwd='a&apos;b'>",
  ],
  uefi: [
    "- <name>uefi</name>",
    "- <uuid>3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a02</uuid>",
    "- <genid>43dc0cf8-809b-4adb-9bea-a9abb5f3d90e</genid>",
    `+ <name>${NEW}</name>`,
    "+ <uuid>UUID</uuid>",
    "+ <genid>GENID</genid>",
    "- <entry name='uuid'>3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a02</entry>",
    "+ <entry name='uuid'>UUID</entry>",
    "- <nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'>/nvram/uefi_VARS.fd</nvram>",
    `+ <nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'>/nvram/${NEW}_VARS.fd</nvram>`,
    "- <source file='/pool/system disk.img'/>",
    `+ <source file='/pool/${NEW}-sda.img'/>`,
    "- <graphics type='spice' port='5910' tlsPort='5911' autoport='no'>",
    "+ <graphics type='spice' port='-1' tlsPort='-1' autoport='yes'>",
    "- <graphics type='vnc' socket='/run/uefi.vnc'>",
    "- <listen type='socket' socket='/run/uefi.vnc'/>",
    "+ <graphics type='vnc'>",
    "+ <listen type='socket'/>",
    "- <cid auto='no' address='17'/>",
    "+ <cid auto='yes'/>",
  ],
  "nvram-source": [
    ...named('it\'s a "vm"', "03"),
    "- <source file='/nvram/vars.fd'/>",
    `+ <source file='/nvram/${NEW}-vars.fd'/>`,
    ...mac("52:54:00:0a:00:03"),
    "- <cid auto='yes' address='5'/>",
    "+ <cid auto='yes'/>",
  ],
  consoles: [
    ...named("consoles", "04"),
    "- <serial type='tcp'>",
    "- <source mode='bind' host='127.0.0.1' service='4555' tls='no'/>",
    "- <protocol type='telnet'/>",
    "- <log file='/var/log/consoles-0.log' append='on'/>",
    "+ <serial type='pty'>",
    `+ <log file='/var/log/${NEW}-0.log' append='on'/>`,
    "- <serial type='udp'>",
    "- <source mode='bind' host='127.0.0.1' service='4556'/>",
    "+ <serial type='pty'>",
    "- <source mode='bind' path='/run/serial.sock'/>",
    `+ <source mode='bind' path='/run/${NEW}-serial.sock'/>`,
    "- <source path='/var/log/consoles/consoles.log' append='on'/>",
    `+ <source path='/var/log/consoles/${NEW}.log' append='on'/>`,
    "- <source path='/run/pipe'/>",
    `+ <source path='/run/${NEW}-pipe'/>`,
    "- <console type='tcp'>",
    "- <source mode='bind' host='127.0.0.1' service='4555' tls='no'/>",
    "- <protocol type='telnet'/>",
    "- <log file='/var/log/consoles-0.log' append='on'/>",
    "+ <console type='pty'>",
    `+ <log file='/var/log/${NEW}-0.log' append='on'/>`,
    "- <source mode='bind' path='/var/lib/libvirt/qemu/channel/target/consoles.org.qemu.guest_agent.0'/>",
    "- <source mode='bind' path='/run/forward.sock'/>",
    `+ <source mode='bind' path='/run/${NEW}-forward.sock'/>`,
    "- <source path='/var/log/channel'/>",
    `+ <source path='/var/log/${NEW}-channel'/>`,
  ],
  disks: [
    ...named("disks", "05"),
    "- <source file='/pool/disks.flp'/>",
    `+ <source file='/pool/${NEW}.flp'/>`,
    "- <source dev='/dev/vg/disks-block'/>",
    `+ <source dev='/dev/vg/${NEW}-block'/>`,
    "- <source pool='pool' volume='data.qcow2'/>",
    `+ <source pool='pool' volume='${NEW}-vdd.qcow2'/>`,
    "- <source file='/pool/disks.top'>",
    `+ <source file='/pool/${NEW}.top'>`,
    "- <backingStore type='file'>",
    "- <format type='raw'/>",
    "- <source file='/pool/below.raw'/>",
    "- <backingStore/>",
    "- </backingStore>",
    ...mac("52:54:00:0A:00:05"),
    "- <mac address='52:54:00:0a:00:06'/>",
    "- <target dev='vnet7'/>",
    "+ <mac address='MAC1'/>",
  ],
};

const genid = (text: string) => text.replace(/(<genid>)[0-9a-f-]{36}/, "$1GENID");

describe("a clone's definition", () => {
  test("every file of the folder is looked at", () => {
    const files = readdirSync(FOLDER).flatMap((file) => file.match(/(.*)\.xml$/)?.[1] ?? []);
    expect(files.sort()).toEqual(Object.keys(DIFFERENCES).sort());
  });

  test.each(Object.keys(DIFFERENCES))("%s: only these lines differ", async (file) => {
    const source = read(file);
    const { text, made } = await clone(source);
    expect(made.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    for (const one of made.macs) expect(one).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
    const before = file === "uefi" ? source : genid(source);
    const after = genid(text);
    expect(after).not.toContain("43dc0cf8");
    expect(diff(before, after)).toEqual(DIFFERENCES[file]);
  });

  test("with its MACs kept, byte for byte in the order of the source", async () => {
    const { made, text } = await clone(read("disks"), { newMac: false });
    expect(made.macs).toEqual(["52:54:00:0A:00:05", "52:54:00:0a:00:06"]);
    expect(text).toContain("<mac address='MAC0'/>");
  });

  test("linked: qcow2 overlays, of a raw disk too", async () => {
    const { text, calls } = await clone(read("uefi"), { linked: true });
    expect(text).toContain("<driver name='qemu' type='qcow2' cache='none' io='native'/>");
    expect(text).toContain(`<source file='/pool/${NEW}-sda.qcow2'/>`);
    const [made] = calls.filter(([verb]) => verb === "vol-create");
    expect(made?.at(-1)).toContain(
      `<backingStore><path>/pool/system disk.img</path><format type="raw"/></backingStore>`,
    );
  });

  test("the NVRAM file is copied, in both spellings", async () => {
    for (const [file, from, to] of [
      ["uefi", "/nvram/uefi_VARS.fd", "/nvram/new & 'better'_VARS.fd"],
      ["nvram-source", "/nvram/vars.fd", "/nvram/new & 'better'-vars.fd"],
    ] as const) {
      const { ran } = await clone(read(file));
      expect(ran.find(([program]) => program === "cp")?.slice(-2)).toEqual([from, to]);
    }
  });

  test("an NVRAM that is no file is refused", async () => {
    const block = read("nvram-source").replace(
      "<source file='/nvram/vars.fd'/>",
      "<source dev='/dev/sdx'/>",
    );
    await expect(clone(block)).rejects.toMatchObject({ code: "unsupported" });
  });

  test("a template's clone is no template", async () => {
    const doc = new XmlDocument(read("plain"));
    addMark(doc, { source: "s", created: "now", sealed: true, description: "d", metadata: {} });
    const { text } = await clone(`${doc}`);
    expect(diff(read("plain"), text)).toEqual(DIFFERENCES.plain);
  });
});

describe("a raw disk's own bytes do not count", () => {
  const looksLike = (format: string) =>
    `<volume type="file"><name>d</name><capacity>1</capacity><target><path>/pool/d</path><format type="${format}"/></target></volume>`;
  test.each(["qcow2", "luks", "vmdk", "iso"])(
    "one that looks like %s is copied as raw",
    async (format) => {
      const { context, ran } = cloning(read("uefi"), {
        answer: (verb) => (verb === "vol-dumpxml" ? looksLike(format) : undefined),
        run: ([program, verb, ...words]) => {
          if (program === "ls" && words.includes("/pool/d")) return { exitCode: 0, stderr: "" };
          return verb === "info" ? { stdout: '{"virtual-size": 4096}' } : undefined;
        },
      });
      await cloneDomain(context, { source: "uefi", target: "t" });
      expect(ran.find((argv) => argv[1] === "info")?.slice(-3)).toEqual(["-f", "raw", "/pool/d"]);
      const convert = ran.find((argv) => argv[1] === "convert")?.join(" ");
      expect(convert).toContain("-f raw -O raw /pool/d /pool/t-sda");
    },
  );
});

describe("siblingPath", () => {
  test.each([
    ["/a/vm.qcow2", "vm", "x", "/a/x.qcow2"],
    ["/vm/data", "vm", "x", "/vm/x-data"],
    ["/a/vm.vm", "vm", "$&$1", "/a/$&$1.vm"],
    ["file", "vm", "x", "x-file"],
  ])("%s of %s, for %s: %s", (path, source, target, expected) => {
    expect(siblingPath(path, source, target)).toBe(expected);
  });
});

describe("a template's mark", () => {
  const mark = {
    source: `a "b" <c> & 'd'`,
    created: "2026-01-01T00:00:00Z",
    sealed: true,
    description: "]]> <!-- é 日本\n two lines",
    metadata: { 'k"1': "<v>", "2": "" },
  };
  test.each(Object.keys(DIFFERENCES))("%s: reads as it was written, and the rest stays", (file) => {
    const doc = new XmlDocument(read(file));
    addMark(doc, mark);
    expect(readMark(parseXml(`${doc}`, "domain"))).toEqual(mark);
    expect(diff(read(file), `${doc}`).filter((line) => line.startsWith("-"))).toEqual(
      file === "disks" ? ["- <metadata/>"] : [],
    );
  });
});

const virtClone = spawnSync("virt-clone", ["--version"], { encoding: "utf8" });
/** virt-clone 5.0 gives the file behind a serial port a new name as well, the same as ours. */
const RENAMES_SERIAL_FILES = Number.parseInt(virtClone.stdout ?? "", 10) >= 5;

describe.skipIf(virtClone.status !== 0)("beside virt-clone", () => {
  /** What each has and the other has not, in canonical form: wanted, all of it. */
  const INTENDED: Record<string, [ours: string[], theirs: string[]]> = {
    plain: [
      [
        "domain/title: base-vm's title", // text for people, and nobody's identity
        "domain/devices/graphics autoport=yes listen=127.0.0.1 passwd=a'b port=-1 type=vnc websocket=-1",
      ],
      // the same websocket for both, which collides
      ["domain/devices/graphics listen=127.0.0.1 passwd=a'b port=-1 type=vnc websocket=5701"],
    ],
    uefi: [
      [
        "domain/devices/disk/source file=/pool/NEW-sda.img", // both make a name up; ours says whose it is
        "domain/devices/graphics autoport=yes port=-1 tlsPort=-1 type=spice",
        "domain/devices/graphics type=vnc",
        "domain/devices/graphics/listen type=socket",
        "domain/devices/vsock/cid auto=yes",
      ],
      [
        "domain/devices/disk/source file=/pool/system disk-clone.img",
        // the same port, socket and address for both, which collide
        "domain/devices/graphics port=-1 tlsPort=5911 type=spice",
        "domain/devices/graphics socket=/run/uefi.vnc type=vnc",
        "domain/devices/graphics/listen socket=/run/uefi.vnc type=socket",
        "domain/devices/vsock/cid address=17 auto=no",
      ],
    ],
    "nvram-source": [
      [
        "domain/os/nvram template=/usr/share/OVMF/OVMF_VARS_4M.fd type=file",
        "domain/os/nvram/source file=/nvram/NEW-vars.fd",
        "domain/devices/vsock/cid auto=yes",
      ],
      [
        // it does not know this spelling: a path from nowhere, and the type without its source
        "domain/os/nvram template=/usr/share/OVMF/OVMF_VARS_4M.fd type=file: /NEW_VARS.fd",
        "domain/devices/vsock/cid address=5 auto=yes",
      ],
    ],
    consoles: [
      [
        "domain/devices/serial type=pty",
        "domain/devices/serial/log append=on file=/var/log/NEW-0.log",
        "domain/devices/serial type=pty",
        "domain/devices/serial/source mode=bind path=/run/NEW-serial.sock",
        ...(RENAMES_SERIAL_FILES
          ? []
          : ["domain/devices/serial/source append=on path=/var/log/consoles/NEW.log"]),
        "domain/devices/parallel/source path=/run/NEW-pipe",
        "domain/devices/console/log append=on file=/var/log/NEW-0.log",
        "domain/devices/channel/source mode=bind path=/run/NEW-forward.sock",
        "domain/devices/channel/source path=/var/log/NEW-channel",
      ],
      [
        // the same ports, sockets and files for both: they collide, or both write one log
        "domain/devices/serial type=tcp",
        "domain/devices/serial/source host=127.0.0.1 mode=bind service=4555 tls=no",
        "domain/devices/serial/protocol type=telnet",
        "domain/devices/serial/log append=on file=/var/log/consoles-0.log",
        "domain/devices/serial type=udp",
        "domain/devices/serial/source host=127.0.0.1 mode=bind service=4556",
        "domain/devices/serial/source mode=bind path=/run/serial.sock",
        ...(RENAMES_SERIAL_FILES
          ? []
          : ["domain/devices/serial/source append=on path=/var/log/consoles/consoles.log"]),
        "domain/devices/parallel/source path=/run/pipe",
        "domain/devices/console type=tcp",
        "domain/devices/console/source host=127.0.0.1 mode=bind service=4555 tls=no",
        "domain/devices/console/protocol type=telnet",
        "domain/devices/console/log append=on file=/var/log/consoles-0.log",
        "domain/devices/channel/source mode=bind", // libvirt makes the agent's path up, for both
        "domain/devices/channel/source mode=bind path=/run/forward.sock",
        "domain/devices/channel/source path=/var/log/channel",
      ],
    ],
    disks: [
      [
        "domain/devices/disk device=disk type=block", // virt-clone sees the file that stands for the device here
        "domain/devices/disk/source dev=/dev/vg/NEW-block",
        "domain/devices/disk/source pool=pool volume=NEW-vdd.qcow2",
      ],
      [
        "domain/devices/disk/source file=/dev/vg/disks-block-clone",
        "domain/devices/disk/source pool=pool volume=data.qcow2", // it has no such pool to look in
        // the copy has nothing below it any more
        "domain/devices/disk/backingStore type=file",
        "domain/devices/disk/backingStore/format type=raw",
        "domain/devices/disk/backingStore/source file=/pool/below.raw",
        "domain/devices/disk/backingStore/backingStore",
      ],
    ],
  };

  test.each(Object.keys(DIFFERENCES))("%s: the differences are intended", async (file) => {
    const folder = mkdtempSync(join(tmpdir(), "virt-clone-"));
    const source = read(file).replace(/<domain type='\w+'/, "<domain type='test'");
    for (const [, at = "", name = ""] of source.matchAll(/='(\/pool|\/dev\/vg)\/([^']*)'/g)) {
      mkdirSync(folder + at, { recursive: true });
      writeFileSync(join(folder, at, name), "x".repeat(4096));
    }
    const moved = source.replace(/='(\/pool|\/dev\/vg)\//g, `='${folder}$1/`);
    writeFileSync(join(folder, "in.xml"), moved);
    const argv = ["--connect", "test:///default", "--original-xml", join(folder, "in.xml")];
    const options = ["--name", "NEW", "--auto-clone", "--print-xml"];
    const { stdout } = await promisify(execFile)("virt-clone", [...argv, ...options], {
      cwd: folder,
    });
    rmSync(folder, { recursive: true });
    const volatile = (text: string) =>
      genid(text)
        .replaceAll(`${folder}/`, "/")
        .replace(/(<uuid>|<entry name=.uuid.>)[0-9a-fA-F-]{36}/g, "$1UUID")
        .replace(/(<mac address=)(['"]).*?\2/g, "$1'MAC'")
        .replaceAll(NEW, "NEW");
    const ours = canonical(volatile((await clone(source)).text));
    const theirs = canonical(volatile(stdout));
    expect([
      ours.filter((row) => !theirs.includes(row)),
      theirs.filter((row) => !ours.includes(row)),
    ]).toEqual(INTENDED[file]);
  });
});
