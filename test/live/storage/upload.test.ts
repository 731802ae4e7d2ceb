/** Uploads on a real libvirtd: what becomes of each format, and what is refused because of what it refers to. */
import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { inflateSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  env,
  expectError,
  expectSuccess,
  processes,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { type Answer, startServer } from "../../server.ts";

const run = promisify(execFile);
const POOL = "/var/lib/libvirt/images";
const SMALL = "/var/lib/libvirt/small";
/** Allowed, as all of /var/lib/libvirt is. */
const FROM = "/var/lib/libvirt/from";
/** Not allowed: what an image must not reach. */
const AWAY = "/run/away";
/** Wrappers of programs, first on the server's PATH. */
const BIN = "/run/bin";
const SECRET = "the secret of the host";

/** Run a script in the folder of the sources. */
const sh = async (script: string) =>
  (await run("sh", ["-euc", script], { cwd: FROM, env, timeout: slow(30_000) })).stdout;

const { test, server } = labTest({
  start: () => startServer({ PATH: `${BIN}:${process.env.PATH}` }),
});
beforeAll(async () => {
  for (const folder of [FROM, AWAY, BIN, SMALL]) mkdirSync(folder);
  // 8 MiB: 2 of data, 3 of nothing, 1 of data that is not at a cluster's end, and nothing again
  await sh(`head -c 2M /dev/urandom >disk.raw; truncate -s 5M disk.raw
    head -c 1000000 /dev/urandom >>disk.raw; truncate -s 8M disk.raw
    make() { out=$1 format=$2; shift 2; qemu-img convert -q -O $format "$@" disk.raw $out; }
    make disk.qcow2 qcow2; make compressed.qcow2 qcow2 -c; make v2.qcow2 qcow2 -o compat=0.10
    make sparse.vmdk vmdk -o subformat=monolithicSparse; make stream.vmdk vmdk -o subformat=streamOptimized
    make disk.vdi vdi; make disk.vhdx vhdx
    printf %s '${SECRET}' >${AWAY}/secret; truncate -s 64K ${AWAY}/secret
    mount -t tmpfs -o size=3m tmpfs ${SMALL}`);
  await virsh("pool-create-as", "small", "dir", "--target", SMALL);
});
afterAll(async () => {
  await virsh("pool-destroy", "small");
  await sh(`umount ${SMALL}`);
  for (const folder of [FROM, AWAY, BIN, SMALL, "/run/named"]) {
    rmSync(folder, { recursive: true, force: true });
  }
});
afterEach(async () => {
  for (const folder of [POOL, BIN]) {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  }
  await virsh("pool-refresh", "default");
});

const upload = (source: string, input: object = {}, init?: RequestInit) =>
  server.post(
    "/libvirt/volume/upload",
    { pool: "default", volume: "vol", source_path: join(FROM, source), ...input },
    init,
  );

const qemuInfo = async (path: string) =>
  JSON.parse((await run("qemu-img", ["info", "--output=json", path])).stdout);

/** What a file takes of the disk, as `du` counts. */
const taken = (path: string) => statSync(path).blocks * 512;

async function expectIdentical(format: string, source: string, made = "vol") {
  const { stdout } = await run("qemu-img", ["compare", "-f", format, source, join(POOL, made)]);
  expect(stdout).toContain("Images are identical.");
}

/** Refused, and the pool is as empty as it was, for libvirt and on disk. */
async function expectRefused(answer: Answer, why: RegExp) {
  expectError(answer, 400, "invalid_input", why);
  expect(answer.body.error).not.toContain("/proc/");
  await expectNothing();
}

async function expectNothing() {
  expect(readdirSync(POOL)).toEqual([]);
  expect((await virsh("vol-list", "--pool", "default")).trim()).toBe("");
}

const SOURCES = [
  ["disk.raw", "raw"],
  ["disk.qcow2", "qcow2"],
  ["compressed.qcow2", "qcow2"],
  ["v2.qcow2", "qcow2"],
  ["sparse.vmdk", "vmdk"],
  ["stream.vmdk", "vmdk"],
  ["disk.vdi", "vdi"],
  ["disk.vhdx", "vhdx"],
] as const;

describe("conversion", () => {
  test.each(SOURCES)("%s to qcow2, raw, vmdk and vdi", async (source, format) => {
    for (const target of ["qcow2", "raw", "vmdk", "vdi"]) {
      const answer = await upload(source, { volume: `v.${target}`, format: target });
      const path = join(POOL, `v.${target}`);
      expect(expectSuccess(answer, 201)).toEqual({
        pool: "default",
        name: `v.${target}`,
        path,
        type: "file",
        format: target,
        capacity_bytes: 8 * 2 ** 20,
        allocation_bytes: taken(path),
        backing: null,
        encrypted: false,
        source_format: format,
      });
      expect(await qemuInfo(path)).toMatchObject({ format: target, "virtual-size": 8 * 2 ** 20 });
      await expectIdentical("raw", join(FROM, "disk.raw"), `v.${target}`);
      expect(taken(path)).toBeLessThan(4 * 2 ** 20);
    }
    const seen = await virsh("vol-list", "--pool", "default");
    expect(seen.trim().split("\n")).toHaveLength(4);
  });

  test.each(["vpc", "qed", "qcow"])("to %s", async (format) => {
    expect(expectSuccess(await upload("disk.qcow2", { format }), 201)).toMatchObject({ format });
    expect(await qemuInfo(join(POOL, "vol"))).toMatchObject({ format });
    await expectIdentical("raw", join(FROM, "disk.raw"));
  });

  test("to qcow2 unless asked otherwise; the source stays as it is", async () => {
    const before = readFileSync(join(FROM, "sparse.vmdk"));
    const answer = await upload("sparse.vmdk");
    expect(answer.body.message).toBe(
      "Volume vol in pool default made from vmdk, converted to qcow2",
    );
    expect(expectSuccess(answer, 201).format).toBe("qcow2");
    expect(readFileSync(join(FROM, "sparse.vmdk")).equals(before)).toBe(true);
  });

  test.each([
    ["raw", "raw"],
    ["raw", "qcow2"],
    ["qcow2", "raw"],
    ["qcow2", "qcow2"],
  ])("4 GiB with little in it, %s to %s, take little", async (from, format) => {
    await sh(`truncate -s 4G big.raw; for at in 0 2047 4095; do
        dd if=disk.raw of=big.raw bs=1M count=1 seek=$at conv=notrunc status=none; done
      if [ ${from} = raw ]; then mv big.raw big; else qemu-img convert -O ${from} big.raw big; rm big.raw; fi`);
    const data = expectSuccess(await upload("big", { format }), 201);
    expect(data).toMatchObject({ capacity_bytes: 4 * 2 ** 30, source_format: from });
    expect(taken(join(POOL, "vol"))).toBeLessThan(8 * 2 ** 20);
    await expectIdentical(from, join(FROM, "big"));
    await sh("rm big");
  });

  test("a name that is taken: the volume that has it stays, whoever of four came first", async () => {
    const answers = await Promise.all(SOURCES.slice(0, 4).map(([source]) => upload(source)));
    const codes = answers.map(({ status, body }) => (status === 201 ? "made" : body.code));
    expect(codes.sort()).toEqual(["already_exists", "already_exists", "already_exists", "made"]);
    await expectIdentical("raw", join(FROM, "disk.raw"));
    const before = readFileSync(join(POOL, "vol"));
    expectError(await upload("disk.vdi", { format: "raw" }), 500, "already_exists", /'vol'/);
    expect(readFileSync(join(POOL, "vol")).equals(before)).toBe(true);
  });

  test("names of sources that mean something to a shell or to QEMU", async () => {
    for (const name of [
      "two  spaces ",
      "it's $HOME;ü",
      "a,b=c:d",
      'json:{"x"}',
      "-f raw",
      "100%",
    ]) {
      await writeFile(join(FROM, name), readFileSync(join(FROM, "disk.qcow2")));
      expect(
        expectSuccess(await upload(name, { volume: name.replace(/^-/, "") }), 201),
      ).toBeTruthy();
      await expectIdentical("raw", join(FROM, "disk.raw"), name.replace(/^-/, ""));
      await rm(join(FROM, name));
    }
  });

  test("a full pool: no space, and no volume is left", async () => {
    for (const format of ["raw", "qcow2"]) {
      await sh("head -c 6M /dev/urandom >full");
      const answer = await upload("full", { pool: "small", format });
      expectError(answer, 500, "no_space", /No space left/);
      expect(readdirSync(SMALL)).toEqual([]);
      expect((await virsh("vol-list", "--pool", "small")).trim()).toBe("");
    }
  });

  test.each(["qcow2", "vmdk -o subformat=streamOptimized", "vhdx", "vdi"])(
    "more than the pool has left, of %s: nothing is copied",
    async (kind) => {
      await sh(`head -c 6M /dev/urandom >raw; qemu-img convert -f raw -O ${kind} raw much; rm raw`);
      const answer = await upload("much", { pool: "small", format: "qcow2" });
      expectError(
        answer,
        500,
        "no_space",
        /^source_path: .*much" holds \d{7} bytes, and pool small has \d{7} left$/,
      );
      expect(readdirSync(SMALL)).toEqual([]);
      const fits = "qemu-img create -q -f qcow2 much 1G"; // what is not written takes no space
      await sh(fits);
      expectSuccess(await upload("much", { pool: "small", volume: "fits", format: "qcow2" }), 201);
      await virsh("vol-delete", "--pool", "small", "fits");
    },
  );

  test("a caller who goes away ends the conversion, and no volume is left", async () => {
    await wrap(
      "chroot",
      'case "$3" in convert) r=$1 q=$2; shift 3; set -- $r $q convert -r 1M "$@";; esac',
    );
    const away = new AbortController();
    const call = upload("disk.raw", { format: "raw" }, { signal: away.signal });
    const vol = join(POOL, "vol");
    const written = () => (statSync(vol, { throwIfNoEntry: false })?.blocks ?? 0) > 0;
    const answered = expect(call).rejects.toThrow("abort");
    await until("some of the volume is written", written, 20);
    expect(processes("qemu-img")).toHaveLength(1);
    away.abort();
    await answered;
    await until("the volume is gone", () => readdirSync(POOL).length === 0, 20);
    expect(processes("qemu-img")).toEqual([]);
    await expectNothing();
  });

  test("a conversion that fails leaves no volume", async () => {
    await wrap("chroot", 'case "$3" in convert) echo "oh no" >&2; exit 1;; esac');
    expectError(await upload("disk.vdi"), 500, "command_failed", /^qemu-img convert: oh no$/);
    await expectNothing();
  });
});

describe("the size is exactly the source's", () => {
  const SIZES = [10 * 2 ** 20 + 512, 2 ** 20 + 1536, 3584];
  test.each(["qcow2", "raw", "vmdk", "vdi", "vpc", "qed", "qcow"])("as %s", async (format) => {
    for (const size of SIZES) {
      await sh(`head -c ${size} /dev/urandom >odd`);
      const data = expectSuccess(await upload("odd", { format }), 201);
      expect(data).toMatchObject({ format, capacity_bytes: size });
      expect(await qemuInfo(join(POOL, "vol"))).toMatchObject({ format, "virtual-size": size });
      const compare = ["compare", "-f", "raw", "-F", format, join(FROM, "odd")];
      await run("qemu-img", [...compare, join(POOL, "vol")]);
      await virsh("vol-delete", "--pool", "default", "--vol", "vol");
    }
    await sh("rm odd");
  });

  test("and sparse stays sparse, owner and mode the volume's", async () => {
    await sh(`rm -f odd; truncate -s $((1024 * 1024 * 1024 + 512)) odd`);
    for (const [name, source] of [
      ["even", "disk.raw"],
      ["odd", "odd"],
    ] as const)
      expectSuccess(await upload(source, { volume: name }), 201);
    expect(taken(join(POOL, "odd"))).toBeLessThan(2 ** 20);
    const { uid, gid, mode } = statSync(join(POOL, "even"));
    expect(statSync(join(POOL, "odd"))).toMatchObject({ uid, gid, mode });
    await sh("rm odd");
  });
});

/** Names another program in the footers of a VHD. */
function setCreator(path: string, creator: string) {
  const file = readFileSync(path);
  for (const at of [0, file.length - 512]) {
    const footer = file.subarray(at, at + 512);
    if (footer.toString("latin1", 0, 8) !== "conectix") continue;
    footer.write(creator, 28);
    footer.writeUInt32BE(0, 64);
    footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64);
  }
  writeFileSync(path, file);
}

describe("VHD", () => {
  const SIZE = 8 * 2 ** 20;
  test.each([
    ["dynamic", ""],
    ["dynamic", "vbox"],
    ["fixed", ""],
    ["fixed", "vpc "],
  ])("%s, made by %j", async (subformat, creator) => {
    const options = `subformat=${subformat},force_size=on`;
    await sh(`qemu-img convert -O vpc -o ${options} disk.raw x.vhd`);
    if (creator) setCreator(join(FROM, "x.vhd"), creator);
    for (const format of ["qcow2", "raw"]) {
      const data = expectSuccess(await upload("x.vhd", { volume: `v.${format}`, format }), 201);
      expect(data).toMatchObject({ source_format: "vpc", capacity_bytes: SIZE });
      await expectIdentical("raw", join(FROM, "disk.raw"), `v.${format}`);
    }
    await sh("rm x.vhd");
  });
});

test("a raw disk that looks like an archive, when the caller insists", async () => {
  await sh("xz -kc disk.raw >x; truncate -s 1M x");
  expectError(await upload("x"), 400, "invalid_input", /source_format: "raw"/);
  const answer = await upload("x", { source_format: "raw" });
  expect(expectSuccess(answer, 201)).toMatchObject({
    source_format: "raw",
    capacity_bytes: 2 ** 20,
  });
  await expectIdentical("raw", join(FROM, "x"));
  expectError(
    await upload("disk.qcow2", { source_format: "raw" }),
    400,
    "invalid_input",
    /qcow2, not/,
  );
  await sh("rm x");
});

describe("an image that refers to another file", () => {
  const CASES: [string, string, RegExp][] = [
    [
      "qcow2 with a backing file",
      `qemu-img create -f qcow2 -F raw -b ${AWAY}/secret x`,
      /backing file/,
    ],
    [
      "qcow2 v2 with a backing file",
      `qemu-img create -f qcow2 -o compat=0.10 -F raw -b ${AWAY}/secret x`,
      /backing file/,
    ],
    [
      "qcow2 with a backing file beside it",
      "qemu-img create -f qcow2 -F raw -b disk.raw x",
      /backing file/,
    ],
    [
      "qcow2 with a backing file that is gone",
      "qemu-img create -f qcow2 -u -F raw -b nbd://x/y x 1M",
      /backing file/,
    ],
    [
      "qcow2 with a data file",
      `qemu-img create -f qcow2 -o data_file=${AWAY}/data,data_file_raw=on x 1M`,
      /data in another file/,
    ],
    [
      "qcow with a backing file",
      `qemu-img create -f qcow -F raw -b ${AWAY}/secret x`,
      /backing file/,
    ],
    ["qed with a backing file", `qemu-img create -f qed -F raw -b ${AWAY}/secret x`, /format qed;/],
    [
      "differencing VHD",
      "qemu-img create -q -f vpc x 1M; printf '\\004' | dd of=x bs=1 seek=63 conv=notrunc status=none",
      /differencing VHD/,
    ],
    ["VMDK with a parent", "qemu-img create -f vmdk -F vmdk -b sparse.vmdk x", /backing file/],
    [
      "VMDK in two files",
      "qemu-img create -f vmdk -o subformat=monolithicFlat x 1M",
      /VMDK descriptor/,
    ],
    [
      "VMDK in parts",
      "qemu-img create -f vmdk -o subformat=twoGbMaxExtentSparse x 1M",
      /VMDK descriptor/,
    ],
  ];
  // what the first line looks like does not matter to QEMU
  for (const head of [
    "# Disk DescriptorFile\\n",
    "#\\n",
    "",
    " \\n",
    "# x\\n# Disk DescriptorFile\\r\\n",
  ]) {
    const text = `${head}version=1\\nCID=fffffffe\\nparentCID=ffffffff\\ncreateType="monolithicFlat"\\n`;
    const extent = `RW 128 FLAT "${AWAY}/secret" 0\\n`;
    CASES.push([
      `VMDK descriptor of a file of the host, beginning ${JSON.stringify(head)}`,
      `printf '${text}${extent}' >x`,
      /VMDK descriptor/,
    ]);
  }
  test.each(CASES)("%s", async (_what, make, why) => {
    try {
      await sh(make);
      await expectRefused(await upload("x", { format: "raw" }), why);
    } finally {
      await sh("rm -f x x-*");
    }
  });
});

describe("an image that is none, or not a whole one", () => {
  test.each([
    [
      "a QED",
      "qemu-img create -f qed x 1M",
      /format qed; accepted are raw, qcow2, vmdk, vdi, vhdx, vpc$/,
    ],
    ["a dynamic VHD, cut", "qemu-img create -q -f vpc x 1M; truncate -s -1 x", /is truncated$/],
    ["an xz archive", "xz -k disk.qcow2; mv disk.qcow2.xz x", /an xz archive.*\(xz -d\)/],
    ["a gzip archive", "gzip -c disk.raw >x", /a gzip archive/],
    [
      "an OVA",
      "printf '<ovf/>' >x.ovf; tar -cf x x.ovf sparse.vmdk; rm x.ovf",
      /tar archive, such as/,
    ],
    ["an OVF descriptor", `printf '<?xml version="1.0"?><Envelope/>' >x`, /an XML file/],
    ["a directory", "mkdir x", /not a regular file/],
    ["a FIFO", "mkfifo x", /not a regular file/],
    ["a character device", "mknod x c 1 5", /not a regular file/],
    ["a block device", "mknod x b 7 0", /not a regular file/],
    ["an empty file", ": >x", /is empty/],
    ["no file", ":", /is no file/],
    ["a link to itself", "ln -s x x", /is no file/],
    ...SOURCES.slice(1).map(([source]): [string, string, RegExp] => [
      `half of ${source}`,
      `head -c $(($(stat -c %s ${source}) / 2)) ${source} >x`,
      /damaged|truncated|not a readable image/,
    ]),
    ...SOURCES.slice(1).map(([source]): [string, string, RegExp] => [
      `the first 4 KiB of ${source}`,
      `head -c 4096 ${source} >x`,
      /damaged|truncated|not a readable image/,
    ]),
    [
      "a qcow2 with a wild L1 table",
      "cp disk.qcow2 x; printf '\\377' | dd of=x bs=1 seek=40 conv=notrunc status=none",
      /not a readable image/,
    ],
  ] satisfies [string, string, RegExp][])("%s", async (_what, make, why) => {
    try {
      await sh(make);
      await expectRefused(await upload("x"), why);
    } finally {
      await sh("rm -rf x");
    }
  });
});

/** By the file's name, the options that make it of random bytes: whatever is cut off is missed. */
const WHOLE: [string, string][] = [
  ["f.qcow2", "-O qcow2"],
  ["f-small.qcow2", "-O qcow2 -o cluster_size=4k"],
  ["f-wide.qcow2", "-O qcow2 -o extended_l2=on"],
  ["f-compressed.qcow2", "-O qcow2 -c"],
  ["f-zstd.qcow2", "-O qcow2 -c -o compression_type=zstd"],
  ["f-sparse.vmdk", "-O vmdk"],
  ["f-stream.vmdk", "-O vmdk -o subformat=streamOptimized"],
  ["f.vdi", "-O vdi"],
  ["f.vhdx", "-O vhdx"],
];

describe("an image that was cut off", () => {
  beforeAll(async () => {
    // hexadecimal digits, which compression halves
    await sh(`head -c 1M /dev/urandom | od -An -v -tx1 | tr -d ' \\n' >f.raw`);
    for (const [name, options] of WHOLE) await sh(`qemu-img convert ${options} f.raw ${name}`);
  });

  test.each(WHOLE)("%s: refused, unless nothing is lost", async (name) => {
    const size = statSync(join(FROM, name)).size;
    let refused = 0;
    const cuts = [1, 100, 511, 512, 4096, 65_535, 65_536, 200_000];
    for (const cut of cuts) {
      await sh(`head -c ${size - cut} ${name} >x`);
      const answer = await upload("x");
      if (answer.status === 400) {
        await expectRefused(answer, /damaged|truncated|not a readable image/);
        refused++;
      } else {
        expectSuccess(answer, 201);
        await expectIdentical("raw", join(FROM, "f.raw"));
        await virsh("vol-delete", "--pool", "default", "--vol", "vol");
      }
    }
    // compressed data does not fill its last sector, nor 2 MiB the block of a VHDX
    expect(refused).toBeGreaterThanOrEqual(
      /stream|compressed|zstd|vhdx/.test(name) ? 5 : cuts.length,
    );
    await sh("rm x");
  });
});

test.each([
  ["empty", "qemu-img create -f qcow2 x 10M"],
  [
    "whose guest's disk ends within a cluster",
    "head -c 100000 f.raw >y; qemu-img convert -O qcow2 y x",
  ],
  [
    "compressed, which ends with its data",
    "qemu-img create -f qcow2 x 10M; qemu-io -f qcow2 -c 'write -c 1M 64k' x",
  ],
  ["with a snapshot", "qemu-img convert -O qcow2 f.raw x; qemu-img snapshot -c s x"],
])("a whole qcow2 whose last cluster is not: %s", async (_what, make) => {
  await sh(make);
  expectSuccess(await upload("x"), 201);
  await expectIdentical("qcow2", join(FROM, "x"));
  await sh("rm -f x y");
});

test("an encrypted qcow2, and an image that LUKS encrypts as a whole", async () => {
  // QEMU takes seconds to make such, and fails on a busy machine; these have no keys
  const unpack = (text: string) => inflateSync(Buffer.from(text, "base64"));
  const qcow2 = unpack(
    "eNoLdPP8zcDAwMyACgSQSCYgZgSzYKoYkUjCgAWIC2AcVvN95XCTWaCC8hMYMph/hAONbAAAbVQG6g==",
  );
  const luks = unpack(
    "eNrzCfUO3rWPgTExtZgBH6goKdYtyEnMzDMzwSpfnJFoZGqGzwT+E0DCgYEsoJlkmWJuYWaclKprlpxkoGtimWysm2hinKablGJhlJxsbGyUmpYGVrqm8DMDw+ztRBjKAXTTAgaGe2uJcwMTA2nqmX+Qpp71A2nq2V+Qpp7zAWnquW+Qpp73Akg9AMirLrs=",
  );
  const image = Buffer.alloc(4 * 2 ** 20);
  for (const [at, why] of [
    [2 ** 18, /is encrypted$/],
    [0, /is of format luks;/],
  ] as const) {
    if (at) image.set(qcow2);
    image.set(luks, at);
    await writeFile(join(FROM, "x"), image);
    await expectRefused(await upload("x"), why);
  }
  await sh("rm x");
});

describe("where an image may come from", () => {
  const OUTSIDE = /is not in an allowed folder \(\/data, .*\/var\/lib\/libvirt\)$/;

  test.each([
    ["elsewhere", `${AWAY}/secret`],
    ["elsewhere, and there is none", `${AWAY}/none`],
    ["by ..", `${FROM}/../../../../..${AWAY}/secret`],
    ["beside an allowed folder of the same beginning", "/var/lib/libvirt2/x"],
    ["the folder itself", "/var/lib/libvirt"],
    ["/", "/"],
    ["a device", "/dev/zero"],
  ])("not from %s", async (_where, source_path) => {
    await expectRefused(await upload("", { source_path }), OUTSIDE);
  });

  test("not by a link, to a file or a folder, nor by a chain of them; but by one that stays inside", async () => {
    await sh(
      `ln -s ${AWAY}/secret link; ln -s ${AWAY} folder; ln -s link chain; ln -s ../from/disk.vdi inside`,
    );
    for (const path of ["link", "folder/secret", "chain", "folder/../../etc/passwd"]) {
      await expectRefused(await upload("", { source_path: `${FROM}/${path}` }), OUTSIDE);
    }
    expect(expectSuccess(await upload("inside"), 201).source_format).toBe("vdi");
    await sh("rm link folder chain inside");
  });

  test.each([
    ["relative", "disk.raw", /absolute path/],
    ["a URL", "nbd://localhost/x", /absolute path/],
    ["a protocol of QEMU's", "json:{}", /absolute path/],
    ["control characters", `${FROM}/disk.raw\n`, /control characters/],
    ["NUL", `${FROM}/disk.raw\0`, /control characters/],
    ["too long", `${FROM}/${"x/".repeat(2500)}disk.raw`, /4096/],
    ["empty", "", /absolute path/],
    ["a number", 7, /string/],
    ["missing", undefined, /required/],
  ])("a path that is %s", async (_what, source_path, why) => {
    const answer = await upload("", { source_path });
    await expectRefused(answer, new RegExp(`^source_path: .*${why.source}`));
    expect(answer.body.issues).toMatchObject([{ path: "source_path" }]);
  });

  test("folders of the settings instead; one may be a link itself", async () => {
    await sh(`cp disk.vdi ${AWAY}/disk.vdi; ln -s ${AWAY} /run/named`);
    const settings = `${AWAY}/hypersdk.toml`;
    await writeFile(settings, '[files]\nallowed = ["/run/named", "/none"]\n');
    const other = await startServer({ HYPERSDK_CONFIG: settings });
    try {
      const from = (source_path: string) =>
        other.post("/libvirt/volume/upload", { pool: "default", volume: "vol", source_path });
      const refused = /not in an allowed folder \(\/run\/named, \/none\)$/;
      await expectRefused(await from(`${FROM}/disk.vdi`), refused);
      expectSuccess(await from(`${AWAY}/disk.vdi`), 201);
      await expectIdentical("raw", join(FROM, "disk.raw"));
      await virsh("vol-delete", "--pool", "default", "vol");
      expectSuccess(await from("/run/named/disk.vdi"), 201);
    } finally {
      await other.stop();
    }
  });
});

/**
 * Put a script before a program that the server calls; `$real` is the program itself. qemu-img is started by chroot,
 * in a root where no script is.
 */
async function wrap(program: string, script: string) {
  const path = join(BIN, program);
  const real = (await run("sh", ["-c", `command -v ${program}`])).stdout.trim();
  await writeFile(path, `#!/bin/sh\nreal=${real}\n${script}\nexec "$real" "$@"\n`);
  chmodSync(path, 0o755);
}

describe("a file that is swapped between the check and the use", () => {
  const EVIL = `qemu-img create -q -f qcow2 -F raw -b ${AWAY}/secret evil 8M`;
  const ahead = (words: string, swap: string) =>
    `case "$*" in *${words}*) (cd ${FROM}; ${swap}) >&2;; esac`;
  /** Asks which realpath this is. */
  const GNU = "-mz -- /";
  const LINK = `mv x old; ln -s ${AWAY}/secret x`;
  /** The same file, with other content and its old times. */
  const REWRITE = "touch -r x stamp; cat evil >x; touch -r stamp x";
  const STEPS = { info: "qemu-img?info", check: "qemu-img?check", convert: "qemu-img?convert" };

  const CASES: [string, string, string, number, RegExp][] = [
    [
      "for a link, once its path is resolved",
      "realpath",
      `[ "$*" != "${GNU}" ] || exec "$real" "$@"; "$real" "$@"; (cd ${FROM}; ${LINK}) >&2; exit`,
      400,
      /replaced by a link/,
    ],
    [
      "for a link to a folder, once its path is resolved",
      "realpath",
      `[ "$*" != "${GNU}" ] || exec "$real" "$@"; "$real" "$@"; (cd ${FROM}; mv d old; ln -s ${AWAY} d) >&2; exit`,
      400,
      /replaced by a link/,
    ],
    [
      "for a FIFO, once its path is resolved",
      "realpath",
      `[ "$*" != "${GNU}" ] || exec "$real" "$@"; "$real" "$@"; (cd ${FROM}; rm x; mkfifo x) >&2; exit`,
      400,
      /not a regular file/,
    ],
    ["for a link, before qemu-img info", "sh", ahead(STEPS.info, LINK), 400, /changed/],
    ["for another content, before qemu-img info", "sh", ahead(STEPS.info, REWRITE), 400, /changed/],
    [
      "for another content, before qemu-img check",
      "sh",
      ahead(STEPS.check, REWRITE),
      500,
      /changed/,
    ],
    ["for a link, before the conversion", "sh", ahead(STEPS.convert, LINK), 500, /changed/],
    [
      "for a FIFO, before the conversion",
      "sh",
      ahead(STEPS.convert, "rm x; mkfifo x"),
      500,
      /changed/,
    ],
    ["for nothing, before the conversion", "sh", ahead(STEPS.convert, "rm x"), 500, /changed/],
    [
      "for a file like it, before the conversion",
      "sh",
      ahead(STEPS.convert, "cp -p x y; mv y x"),
      500,
      /changed/,
    ],
    [
      "for another content, before the conversion",
      "sh",
      ahead(STEPS.convert, REWRITE),
      500,
      /changed/,
    ],
    [
      "for another content, while the conversion has it open",
      "chroot",
      ahead("convert", REWRITE),
      500,
      /changed/,
    ],
  ];
  test.each(CASES)("%s", async (_what, program, script, status, why) => {
    try {
      await sh(`cp disk.qcow2 x; mkdir d; cp disk.qcow2 d/secret; ${EVIL}`);
      await wrap(program, script);
      const answer = await upload(script.includes("mv d") ? "d/secret" : "x", { format: "raw" });
      expectError(answer, status, status === 400 ? "invalid_input" : "command_failed", why);
      expect(answer.body.error).not.toContain("/proc/");
      await expectNothing();
    } finally {
      await sh("rm -rf x y d old evil stamp");
    }
  });

  test("for another content through a mapping, which changes no time", async () => {
    await sh(`cp disk.qcow2 x; ${EVIL}`);
    const bytes = Bun.mmap(join(FROM, "x"));
    for (let at = 0; at < bytes.length; at += 4096) bytes[at] = bytes[at] as number;
    const wait = "touch reached; for i in $(seq 500); do [ -e done ] && break; sleep 0.01; done";
    await wrap("sh", ahead(STEPS.convert, wait));
    const call = upload("x", { format: "raw" });
    let answered = false;
    const end = call.finally(() => {
      answered = true;
    });
    await until("it converts or refuses", () => answered || existsSync(join(FROM, "reached")), 20);
    bytes.set(readFileSync(join(FROM, "evil")));
    await sh("touch done");
    const { status, body } = await end;
    await sh("rm -f x evil reached done");
    expect(status, JSON.stringify(body)).not.toBe(201);
    expect(body.error).toMatch(/chang|written/);
    await expectNothing();
  });
});
