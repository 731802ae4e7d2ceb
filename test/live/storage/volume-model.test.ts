/** What a copy keeps of its volume, and a wiped volume of itself: all that libvirt knows of the image. */
import { rmSync, statSync } from "node:fs";
import { describe, expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  disk,
  image,
  imageInfo,
  machine,
  same,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const { test, server } = labTest({ start, tidy: wipe });
const post = (verb: string, input: object) =>
  server.post(`/libvirt/volume/${verb}`, { pool: "default", ...input });

/** Format, options of qemu-img, size; with some data and an owner of its own. */
const IMAGES: [format: string, options: string, size: number][] = [
  ["qcow2", "cluster_size=16k,lazy_refcounts=on,extended_l2=on,compat=1.1", 10486272],
  ["qcow2", "compat=0.10", 8 * 2 ** 20],
  ["qcow2", "cluster_size=2M", 8 * 2 ** 20],
  ["raw", "", 10486272],
  ["vmdk", "", 8 * 2 ** 20],
  ["vdi", "", 8 * 2 ** 20],
];
const OWNER = { uid: 64055, gid: 108, mode: 0o100640 };

async function make(format: string, options: string, size: number) {
  const flags = options && `-o ${options}`;
  await sh(`qemu-img create -q -f ${format} ${flags} i ${size}
    qemu-io -f ${format} -c 'write -P 7 1M 64k' i >/dev/null; chown 64055:108 i; chmod 640 i`);
  await virsh("pool-refresh", "default");
  return imageInfo(at("i"));
}

/** But for the identity that some formats give each image. */
function kept({ format, "format-specific": more, ...info }: Record<string, unknown>) {
  const specific = format === "qcow2" ? more : undefined;
  return { format, specific, size: info["virtual-size"], cluster: info["cluster-size"] };
}

test.for(IMAGES)("volume/clone keeps a %s with %j of %i bytes", async ([format, options, size]) => {
  const before = await make(format, options, size);
  expectSuccess(await post("clone", { source_volume: "i", target_volume: "copy" }), 201);
  expect(kept(await imageInfo(at("copy")))).toEqual(kept(before));
  expect(statSync(at("copy"))).toMatchObject(OWNER);
  expect(await same(at("copy"), at("i"))).toBe(true);
});

describe("volume/wipe", () => {
  test.for(IMAGES)(
    "a %s with %j of %i bytes is one afterwards, empty",
    async ([format, options, size]) => {
      const before = await make(format, options, size);
      const data = expectSuccess(await post("wipe", { volume: "i" }));
      expect(data.recreated).toBe(format !== "raw");
      expect(kept(await imageInfo(at("i")))).toEqual(kept(before));
      expect(statSync(at("i"))).toMatchObject(OWNER);
      for (const { zero, data } of JSON.parse(await sh("qemu-img map --output=json i")))
        expect(zero || !data).toBe(true);
      await machine("on", { disks: [disk(at("i"))] });
    },
  );

  test("an overlay is made anew without its base, whose bytes it would show", async () => {
    await image("base.raw");
    await sh(`qemu-img create -q -f qcow2 -F raw -b ${at("base.raw")} top.qcow2`);
    await virsh("pool-refresh", "default");
    expectSuccess(await post("wipe", { volume: "top.qcow2" }));
    const info = await imageInfo(at("top.qcow2"));
    expect(info).toMatchObject({ format: "qcow2", "virtual-size": 64 * 2 ** 20 });
    expect(info).not.toHaveProperty("backing-filename");
    await machine("on", { disks: [at("top.qcow2")] });
    expectSuccess(await server.post("/libvirt/domain/start", { name: "on" }));
  });
});

/** QEMU measures its CPU before it makes a LUKS header, and gives up ("Unable to get accurate CPU usage") on a busy machine. */
const PATIENTLY = `patiently() { for n in 1 2 3 4 5 6 7 8; do "$@" && return; sleep 1; done; return 1; }`;
async function clonePatiently(copy: object) {
  for (let n = 0; n < 8; n++) {
    const answer = await post("clone", copy);
    if (!/accurate CPU usage/.test(answer.body.error ?? "")) return answer;
  }
  return post("clone", copy);
}

describe("an encrypted volume", { timeout: slow(300_000) }, () => {
  const UUID = "5d3c6f2e-1111-4222-8333-444455556666";
  test("its copy is encrypted too, and volume/info says so", async () => {
    await sh(`${PATIENTLY}
      cat >/run/secret.xml <<X
<secret ephemeral='no' private='yes'><uuid>${UUID}</uuid><usage type='volume'><volume>${at("luks.img")}</volume></usage></secret>
X
      cat >/run/volume.xml <<X
<volume><name>luks.img</name><capacity unit='bytes'>4194304</capacity><target><format type='raw'/><encryption format='luks'><secret type='passphrase' uuid='${UUID}'/></encryption></target></volume>
X
      printf pw >/run/pw; virsh -q secret-define /run/secret.xml; virsh -q secret-set-value ${UUID} --plain --file /run/pw
      patiently virsh -q vol-create default /run/volume.xml
      qemu-io --object secret,id=s,file=/run/pw --image-opts driver=luks,key-secret=s,file.filename=${at("luks.img")} -c 'write -P 7 1M 64k'`);
    try {
      const info = await server.get("/libvirt/volume/info?pool=default&volume=luks.img");
      expect(expectSuccess(info).encrypted).toBe(true);
      const copy = { source_volume: "luks.img", target_volume: "copy.img" };
      expect(expectSuccess(await clonePatiently(copy), 201).encrypted).toBe(true);
      expect(await imageInfo(at("copy.img"))).toMatchObject({ format: "luks", encrypted: true });
      const opened = `driver=luks,key-secret=s,file.filename=${at("copy.img")}`;
      const read = `qemu-io --object secret,id=s,file=/run/pw --image-opts ${opened} -c 'read -P 7 1M 64k'`;
      expect(await sh(read)).not.toContain("Pattern verification failed");
    } finally {
      await virsh("secret-undefine", UUID);
    }
  });

  test("whose secret libvirt does not have is refused", async () => {
    await sh(`${PATIENTLY}
      printf pw >/run/pw; patiently qemu-img create -q -f luks --object secret,id=s,file=/run/pw -o key-secret=s,iter-time=10 l.img 1M
      patiently qemu-img create -q -f qcow2 --object secret,id=s,file=/run/pw -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 q.img 1M`);
    await virsh("pool-refresh", "default");
    for (const name of ["l.img", "q.img"]) {
      const answer = await post("clone", { source_volume: name, target_volume: "copy" });
      expect([400, 500], answer.body.error).toContain(answer.status);
      expect(answer.body.error).toMatch(/secret|encrypt/i);
    }
    expectError(
      await post("wipe", { volume: "q.img" }),
      500,
      "unsupported",
      /secret that libvirt does not have/,
    );
    expect(await imageInfo(at("q.img"))).toMatchObject({ format: "qcow2", encrypted: true });
    // whose data nobody can read is still wiped, as the bytes that it is
    expect(expectSuccess(await post("wipe", { volume: "l.img" })).recreated).toBe(false);
  });
});

describe("a qcow2 whose data is in another file", () => {
  test("an absolute name: the copy holds the data itself", async () => {
    await sh(
      `qemu-img create -q -f qcow2 -o data_file=${at("d")} i.qcow2 4M; qemu-io -c 'write -P 7 1M 64k' i.qcow2 >/dev/null`,
    );
    await virsh("pool-refresh", "default");
    const copy = { source_volume: "i.qcow2", target_volume: "copy" };
    for (const algorithm of ["zero", "trim"]) {
      const answer = await post("wipe", { volume: "i.qcow2", algorithm });
      expectError(
        answer,
        500,
        "unsupported",
        /is in another file, .*\/d, which libvirt would not wipe/,
      );
    }
    expectSuccess(await post("clone", copy), 201);
    expect(await same(at("copy"), at("i.qcow2"))).toBe(true);
    rmSync(at("d"));
    expect((await imageInfo(at("copy")))["format-specific"].data).not.toHaveProperty("data-file");
  });

  test("a relative name is refused plainly, and nothing is left", async () => {
    await sh("qemu-img create -q -f qcow2 -o data_file=d i.qcow2 4M");
    await virsh("pool-refresh", "default");
    const answer = await post("clone", { source_volume: "i.qcow2", target_volume: "copy" });
    expectError(
      answer,
      500,
      "unsupported",
      /^source_volume: the data of i\.qcow2 is in another file, "d"/,
    );
    expect(await virsh("vol-list", "default")).not.toContain("copy");
  });
});
