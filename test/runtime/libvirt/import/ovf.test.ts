/** The OVF parser: what VMware and VirtualBox write, what may be missing, and what is refused. */
import { describe, expect, test } from "vitest";
import { parseOvf } from "../../../../runtime/libvirt/import/ovf.ts";
import { macOf, unitOf } from "../../../../runtime/libvirt/import/ovf-hardware.ts";
import { windowsId } from "../../../../runtime/libvirt/import/windows.ts";

const item = (type: number, id: string, more = "") =>
  `<Item><rasd:InstanceID>${id}</rasd:InstanceID><rasd:ResourceType>${type}</rasd:ResourceType>${more}</Item>`;
const rasd = (name: string, value: string | number) => `<rasd:${name}>${value}</rasd:${name}>`;
const disk = (id: string, place: number, parent = "3", name = `vmdisk${id}`) =>
  item(
    17,
    `d${id}`,
    rasd("HostResource", `ovf:/disk/${name}`) +
      rasd("Parent", parent) +
      rasd("AddressOnParent", place),
  );

interface Parts {
  files?: string;
  disks?: string;
  items?: string;
  system?: string;
  before?: string;
  deployment?: string;
}

const FILES = `<File ovf:id="file1" ovf:href="a.vmdk" ovf:size="7"/><File ovf:id="file2" ovf:href="b%20c.vmdk"/>`;
const DISKS = `<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="2" ovf:capacityAllocationUnits="byte * 2^30"/><Disk ovf:diskId="vmdisk2" ovf:fileRef="file2" ovf:capacity="5000"/>`;

const ovf = ({
  files = FILES,
  disks = DISKS,
  items = disk("1", 0),
  system = "",
  before = "",
  deployment = "",
}: Parts = {}) =>
  Buffer.from(`${before}<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"><References>${files}</References><DiskSection>${disks}</DiskSection>${deployment}
  <VirtualSystem ovf:id="vm"><Name>It &amp; more</Name>${system}<VirtualHardwareSection>${item(6, "3")}${items}</VirtualHardwareSection></VirtualSystem></Envelope>`);

describe("an OVF", () => {
  test("of almost nothing", () => {
    const bare = `<Envelope><VirtualSystem id="x"/></Envelope>`;
    expect(parseOvf(Buffer.from(bare))).toEqual({
      ...{ name: "x", memory: undefined, vcpus: undefined, firmware: undefined, guest: undefined },
      ...{ disks: [], networks: [], sizes: new Map() },
    });
  });

  test("with prefixes that nobody else uses", () => {
    const text = `<o:Envelope xmlns:o="http://schemas.dmtf.org/ovf/envelope/1" xmlns:r="r"><o:VirtualSystem o:id="x"><o:VirtualHardwareSection><o:Item><r:ResourceType>3</r:ResourceType><r:VirtualQuantity>4</r:VirtualQuantity></o:Item></o:VirtualHardwareSection></o:VirtualSystem></o:Envelope>`;
    expect(parseOvf(Buffer.from(text))).toMatchObject({ name: "x", vcpus: 4 });
  });

  test("disks in the order of their controllers and places", () => {
    const items = [
      disk("2", 1),
      disk("1", 10, "9"),
      disk("2", 0, "3", "vmdisk1"),
      item(20, "9"),
    ].join("");
    expect(parseOvf(ovf({ items })).disks).toEqual([
      { file: "a.vmdk", capacity: 2 * 2 ** 30 },
      { file: "b%20c.vmdk", capacity: 5000 },
      { file: "a.vmdk", capacity: 2 * 2 ** 30 },
    ]);
  });

  test("an empty disk, one whose capacity is a variable, and one of the host over there", () => {
    const disks = `<Disk ovf:diskId="e" ovf:capacity="3"/><Disk ovf:diskId="v" ovf:fileRef="file1" ovf:capacity="\${size}"/>`;
    const host = item(17, "h", rasd("HostResource", "/dev/sda"));
    const items = disk("1", 0, "3", "e") + disk("2", 1, "3", "v") + host;
    expect(parseOvf(ovf({ disks, items })).disks).toEqual([
      { file: undefined, capacity: 3 },
      { file: "a.vmdk", capacity: undefined },
    ]);
  });

  test("the configuration that is the default", () => {
    const deployment = `<DeploymentOptionSection><Configuration ovf:id="small"/><Configuration ovf:id="big" ovf:default="true"/></DeploymentOptionSection>`;
    const memory = (size: number, configuration = "") =>
      item(4, "2", rasd("VirtualQuantity", size) + rasd("AllocationUnits", "byte * 2^20")).replace(
        "<Item>",
        `<Item${configuration && ` ovf:configuration="${configuration}"`}>`,
      );
    const items = memory(1) + memory(512, "small") + memory(4096, "big other");
    expect(parseOvf(ovf({ items, deployment })).memory).toBe(4096);
    expect(parseOvf(ovf({ items: memory(7) })).memory).toBe(7);
  });

  test.each<[string, object]>([
    [`<Config vmw:key="firmware" vmw:value="efi"/>`, { firmware: "uefi" }],
    [`<Config vmw:key="firmware" vmw:value="bios"/>`, { firmware: "bios" }],
    [
      `<Config vmw:key="firmware" vmw:value="efi"/><Config vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>`,
      { firmware: "uefi-secure" },
    ],
    ["", { firmware: undefined }],
  ])("firmware: %s", (items, expected) => {
    expect(parseOvf(ovf({ items }))).toMatchObject(expected);
  });

  test("networks and MACs", () => {
    const card = (network: string, mac = "") =>
      item(10, "n", rasd("Connection", network) + (mac && rasd("Address", mac)));
    const items =
      card("VM Network", "00:50:56:AA:BB:CC") + card("NAT", "080027abcdef") + card("x", "auto");
    expect(parseOvf(ovf({ items })).networks).toEqual([
      { network: "VM Network", mac: "00:50:56:aa:bb:cc" },
      { network: "NAT", mac: "08:00:27:ab:cd:ef" },
      { network: "x", mac: undefined },
    ]);
  });
});

test.each<[string | undefined, number]>([
  [undefined, 2 ** 20],
  ["byte * 2^20", 2 ** 20],
  ["bytes*2^30", 2 ** 30],
  ["byte * 10^6", 1e6],
  ["byte", 1],
  ["MegaBytes", 2 ** 20],
  ["GB", 2 ** 30],
  ["kilobyte", 2 ** 10],
  ["MiB", 2 ** 20],
])("the unit %s", (text, bytes) => {
  expect(unitOf(text)).toBe(bytes);
});

test("MACs", () => {
  expect(macOf("08-00-27-AB-CD-EF")).toBe("08:00:27:ab:cd:ef");
  for (const text of ["", "none", "08:00:27:ab:cd", "08:00:27:ab:cd:eg"])
    expect(macOf(text)).toBeUndefined();
});

test.each([
  ["windows2019srvnext-64", "2k22"],
  ["windows2019srvNext_64Guest", "2k22"],
  ["windows2019srv-64", "2k19"],
  ["windows9srv-64", "2k16"],
  ["windows9Server64Guest", "2k16"],
  ["windows8srv-64", "2k12r2"],
  ["windows8Server64Guest", "2k12r2"],
  ["windows7srv-64", "2k8r2"],
  ["windows7Server64Guest", "2k8r2"],
  ["windows11-64", "11"],
  ["windows9-64", "10"],
  ["windows8-64", "8.1"],
  ["windows7-64", "7"],
])("VMware's %s is %s", (words, id) => {
  expect(windowsId(words)).toBe(`http://microsoft.com/win/${id}`);
});

test("Windows", () => {
  expect(windowsId("windows2019srv_64Guest")).toBe("http://microsoft.com/win/2k19");
  expect(windowsId("Windows11_64")).toBe("http://microsoft.com/win/11");
  expect(windowsId("Microsoft Windows XP Professional")).toBe("http://microsoft.com/win/xp");
  expect(windowsId("winNetStandardGuest")).toBe("http://microsoft.com/win/10");
  for (const text of ["darwin19_64Guest", "debian11_64Guest", undefined])
    expect(windowsId(text)).toBeUndefined();
});

describe("refused", () => {
  test.each<[string, Buffer, RegExp]>([
    ["no XML", Buffer.from("hello"), /no OVF/],
    ["another XML", Buffer.from("<domain/>"), /no OVF/],
    ["nothing", Buffer.from(""), /no OVF/],
    ["UTF-16", Buffer.from("\ufeff<Envelope/>", "utf16le"), /not in UTF-8/],
    ["a zero byte", Buffer.from("<Envelope>\0</Envelope>"), /not in UTF-8/],
    ["a document type", ovf({ before: "<!DOCTYPE Envelope>" }), /document type or entities/],
    [
      "one in other letters",
      ovf({ before: "<!doctype Envelope []>" }),
      /document type or entities/,
    ],
    [
      "an entity",
      ovf({ system: '<!ENTITY a SYSTEM "file:///etc/passwd">' }),
      /document type or entities/,
    ],
    ["no machine", Buffer.from("<Envelope/>"), /no virtual machine/],
    ["deep nesting", ovf({ system: "<a>".repeat(5000) + "</a>".repeat(5000) }), /64 levels|no OVF/],
    [
      "compression",
      ovf({ files: `<File ovf:id="file1" ovf:href="a" ovf:compression="gzip"/>` }),
      /compressed with gzip/,
    ],
    [
      "chunks",
      ovf({ files: `<File ovf:id="file1" ovf:href="a" ovf:chunkSize="7"/>` }),
      /in chunks/,
    ],
    ["an unknown disk", ovf({ items: disk("9", 0) }), /disk "vmdisk9" that it does not describe/],
    [
      "an unknown file",
      ovf({ disks: `<Disk ovf:diskId="vmdisk1" ovf:fileRef="f9"/>` }),
      /file "f9", which it does not list/,
    ],
    [
      "a parent",
      ovf({ disks: `<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:parentRef="x"/>` }),
      /without snapshots/,
    ],
    [
      "a disk of nothing",
      ovf({ disks: `<Disk ovf:diskId="vmdisk1"/>` }),
      /neither a file nor a capacity/,
    ],
    [
      "a number that is none",
      ovf({ items: item(3, "1", rasd("VirtualQuantity", "many")) }),
      /"many" for a number/,
    ],
    [
      "an unknown unit",
      ovf({ items: item(4, "2", rasd("VirtualQuantity", 1) + rasd("AllocationUnits", "pages")) }),
      /unit that is not known/,
    ],
    [
      "a path",
      ovf({ files: `<File ovf:id="file1" ovf:href="../a"/>` }),
      /names the file "\.\.\/a"/,
    ],
    [
      "an absolute path",
      ovf({ files: `<File ovf:id="file1" ovf:href="/etc/passwd"/>` }),
      /lies elsewhere/,
    ],
    ["a Windows path", ovf({ files: `<File ovf:id="file1" ovf:href="..\\a"/>` }), /lies elsewhere/],
    ["a URL", ovf({ files: `<File ovf:id="file1" ovf:href="http://x/a"/>` }), /lies elsewhere/],
    ["no name", ovf({ files: `<File ovf:id="file1"/>` }), /names the file ""/],
  ])("%s", (_what, bytes, message) => {
    expect(() => parseOvf(bytes)).toThrow(message);
  });
});
