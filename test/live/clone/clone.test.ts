/** Clones of real machines on a real libvirt: what they are, and that they run beside their source. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { attribute, children, textOf, type Xml, xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  definition,
  diskPaths,
  everything,
  image,
  imageInfo,
  machine,
  names,
  type Options,
  parsed,
  programs,
  same,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import {
  defineNetwork,
  expectError,
  expectSuccess,
  nics,
  until,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const run = promisify(execFile);
const { test, server } = labTest({ start, tidy: wipe });
beforeAll(async () => {
  for (const name of ["lan", "idle"]) await defineNetwork(name);
  await virsh("net-start", "lan");
});
afterAll(async () => {
  await virsh("net-destroy", "lan");
  for (const name of ["lan", "idle"]) await virsh("net-undefine", name);
});

const clone = (input: object, to = server) => to.post("/libvirt/clone", input);
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();
const uuidOf = async (name: string) => (await virsh("domuuid", "--domain", name)).trim();

/** A machine `base` on one qcow2 disk of its own. */
async function base(name = "base", options: Options = {}) {
  const path = await image(`${name}.qcow2`);
  return machine(name, { disks: [path], network: "lan", ...options });
}

describe("the reference's scenarios, with curl", () => {
  const curl = async (command: string) => {
    const words = command.replaceAll("http://localhost:8080", server.url);
    return JSON.parse((await run("sh", ["-c", words.replace(/^curl /, "curl -sS ")])).stdout);
  };

  test("2: clone a machine, start it, look at it", async () => {
    await base("template-vm", { console: "/run/template-vm.log" });
    const cloned = await curl(`curl -X POST http://localhost:8080/libvirt/clone \\
  -H "Content-Type: application/json" \\
  -d '{
    "source": "template-vm",
    "target": "new-vm",
    "new_mac": true
  }'`);
    expect(cloned).toMatchObject({ status: "success", data: { name: "new-vm" } });
    const started = await curl(`curl -X POST http://localhost:8080/libvirt/domain/start \\
  -H "Content-Type: application/json" \\
  -d '{"name": "new-vm"}'`);
    expect(started.status).toBe("success");
    const stats = await curl("curl http://localhost:8080/libvirt/stats?name=new-vm");
    expect(stats.data).toMatchObject({ cpu: { vcpus: 1 }, disks: [{ device: "vda" }] });
    expect(await state("new-vm")).toBe("running");
    expect(await state("template-vm")).toBe("shut off");
    expect(await uuidOf("new-vm")).toBe(cloned.data.uuid);
    await until("the guest boots", () => /READY/.test(readFileSync("/run/new-vm.log", "utf8")), 60);
    expect(existsSync("/run/template-vm.log")).toBe(false);
  });

  test("3: ten clones, all started, all looked at", { timeout: slow(120_000) }, async () => {
    await base("web-template", { console: "/run/web-template.log" });
    const cloned = await curl(`curl -X POST http://localhost:8080/libvirt/clone/multiple \\
  -H "Content-Type: application/json" \\
  -d '{
    "source": "web-template",
    "name_prefix": "web-server",
    "count": 10
  }'`);
    const all = Array.from({ length: 10 }, (_, i) => `web-server-${i + 1}`);
    expect(cloned).toMatchObject({ operation: "clone", total: 10, successful: 10, failed: 0 });
    expect(cloned.results.map(({ domain }: { domain: string }) => domain)).toEqual(all);
    const started = await curl(`curl -X POST http://localhost:8080/libvirt/batch/start \\
  -H "Content-Type: application/json" \\
  -d '{
    "domains": [
      "web-server-1", "web-server-2", "web-server-3",
      "web-server-4", "web-server-5", "web-server-6",
      "web-server-7", "web-server-8", "web-server-9",
      "web-server-10"
    ]
  }'`);
    expect(started).toMatchObject({ operation: "start", successful: 10 });
    const stats = await curl("curl http://localhost:8080/libvirt/stats/all");
    expect(stats).toMatchObject({ status: "success" });
    const listed = JSON.stringify(stats.data);
    for (const name of all) expect(listed).toContain(`"${name}"`);
    expect((await virsh("list", "--name")).split("\n").filter(Boolean).sort()).toEqual(
      [...all].sort(),
    );
    for (const name of all)
      expect(await same(at(`${name}.qcow2`), at("web-template.qcow2"))).toBe(true);
  });
});

describe("a clone", () => {
  test("has an identity and a disk of its own, and its source is as it was", async () => {
    const uuid = await base();
    const before = await everything();
    const answer = await clone({ source: "base", target: "copy" });
    const data = expectSuccess(answer, 201);
    const path = at("copy.qcow2");
    expect(data).toEqual({
      name: "copy",
      uuid: await uuidOf("copy"),
      macs: [(await nics("copy"))[0]?.mac],
      disks: [{ target: "vda", path, format: "qcow2" }],
      source_removed: false,
    });
    expect(data.uuid).not.toBe(uuid);
    expect(data.macs).not.toEqual((await nics("base")).map(({ mac }) => mac));
    expect(await same(path, at("base.qcow2"))).toBe(true);
    expect(await imageInfo(path)).not.toHaveProperty("backing-filename");
    const now = await everything();
    expect(now).toMatchObject(before);
    expect(now.notes).toEqual([]);
    expect(Object.keys(now.files)).toEqual([...Object.keys(before.files), path].sort());
  });

  test("files, new_mac and auto_clone", async () => {
    const disks = [await image("one.raw"), await image("two.qcow2")];
    await machine("base", { disks, network: "lan" });
    const [own] = await nics("base");
    const [a, b] = [at("a b'\".raw"), at("x.qcow2")];
    const input = { source: "base", target: "copy", auto_clone: false };
    for (const files of [[], [a]]) {
      expectError(
        await clone({ ...input, files }),
        400,
        "invalid_input",
        /^files: no path for disk vd[ab]/,
      );
    }
    const data = expectSuccess(await clone({ ...input, files: [a, b], new_mac: false }), 201);
    expect(data.macs).toEqual([own?.mac]);
    expect(await diskPaths("copy")).toEqual([a, b]);
    expect([await same(a, at("one.raw")), await same(b, at("two.qcow2"))]).toEqual([true, true]);
    // sparse stays sparse
    expect((await imageInfo(a))["actual-size"]).toBeLessThan(6 * 2 ** 20);
    const half = expectSuccess(
      await clone({ source: "base", target: "half", files: [at("h.raw")] }),
      201,
    );
    expect(half.disks.map(({ path }: { path: string }) => path)).toEqual([
      at("h.raw"),
      at("half-vdb.qcow2"),
    ]);
  });

  test("preserve: false leaves the source's disks, and not the source", async () => {
    await base();
    const data = expectSuccess(
      await clone({ source: "base", target: "copy", preserve: false }),
      201,
    );
    expect(data.source_removed).toBe(true);
    expect(await names()).toEqual(["copy"]);
    expect(await same(at("base.qcow2"), at("copy.qcow2"))).toBe(true);
    const linked = await clone({ source: "copy", target: "c", preserve: false, linked: true });
    expectError(linked, 400, "invalid_input", /^preserve: /);
  });

  test.each(["it's a  vm", '"$(x)"; #', "007", "été 日本", "a&<b>"])(
    "of and by the name %j",
    async (name) => {
      await base("base");
      expectSuccess(await clone({ source: "base", target: name }), 201);
      expectSuccess(await clone({ source: name, target: `${name}2` }), 201);
      expect(await names()).toEqual([name, `${name}2`, "base"].sort());
      expect(textOf(await parsed(await uuidOf(`${name}2`)), "name")).toBe(`${name}2`);
      expect(await same(at("base.qcow2"), at(`${name}2.qcow2`))).toBe(true);
    },
  );

  test("of a machine that runs is refused, of a paused one it is made", async () => {
    const uuid = await base();
    await virsh("start", "--domain", "base");
    const input = { source: "base", target: "copy" };
    for (const one of [input, { ...input, linked: true }]) {
      expectError(await clone(one), 500, "in_use", /^source: domain base is running; shut it down/);
    }
    await virsh("suspend", "--domain", "base");
    expectError(
      await clone({ ...input, linked: true }),
      500,
      "in_use",
      /base is paused; shut it down first/,
    );
    expectSuccess(await clone(input), 201);
    expect(await state("base")).toBe("paused");
    expect(await uuidOf("base")).toBe(uuid);
    expect(await same(at("base.qcow2"), at("copy.qcow2"))).toBe(true);
    await virsh("start", "--domain", "copy");
  });

  test("resumed while it is copied: nothing is left of the clone", async () => {
    const late = '[ "$3" != convert ] || { touch /run/copying; sleep 1; }; exec $REAL "$@"';
    const other = await start(programs("/run/bin-slow", { "qemu-img": late }));
    await base();
    await virsh("start", "--domain", "base");
    await virsh("suspend", "--domain", "base");
    const before = Object.keys((await everything()).files);
    const answer = clone({ source: "base", target: "copy" }, other);
    await until("it is copied", () => existsSync("/run/copying"), 20);
    rmSync("/run/copying");
    await virsh("resume", "--domain", "base");
    expectError(await answer, 500, "in_use", /went on while it was copied/);
    expect(Object.keys((await everything()).files)).toEqual(before);
    await other.stop();
  });

  test("starts beside its source: no port, socket or file of theirs is the same", async () => {
    const devices = xml`<graphics type="vnc" port="5999" autoport="no"/>
      <serial type="tcp"><source mode="bind" host="127.0.0.1" service="4999"/></serial>
      <serial type="unix"><source mode="bind" path="/run/base.sock"/></serial>
      <channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>`;
    await base("base", { devices, console: "/run/base.log" });
    expectSuccess(await clone({ source: "base", target: "copy" }), 201);
    for (const name of ["base", "copy"])
      expectSuccess(await server.post("/libvirt/domain/start", { name }));
    const sockets = (name: string) =>
      run("sh", [
        "-c",
        `virsh -q dumpxml ${name} | grep -oE "(path|port)='[^']*(sock|agent.0|59..)'"`,
      ]);
    const [one, two] = await Promise.all([sockets("base"), sockets("copy")]);
    const lines = [one, two].flatMap(({ stdout }) => [...new Set(stdout.trim().split("\n"))]);
    expect(lines.length).toBe(6);
    expect(new Set(lines).size).toBe(6);
    for (const name of ["base", "copy"]) {
      const said = () => existsSync(`/run/${name}.log`) && readFileSync(`/run/${name}.log`, "utf8");
      await until(`${name} boots`, () => /READY/.test(said() || ""), 60);
    }
  });

  test("has firmware variables of its own", async () => {
    const nvram = "/var/lib/libvirt/qemu/nvram/base_VARS.fd";
    mkdirSync("/var/lib/libvirt/qemu/nvram", { recursive: true });
    await sh(
      `cp /usr/share/OVMF/OVMF_VARS_4M.fd ${nvram}; printf mine | dd of=${nvram} bs=1 seek=100 conv=notrunc 2>/dev/null`,
    );
    const os = xml`<os><type arch="x86_64" machine="q35">hvm</type>
      <loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader><nvram>${nvram}</nvram></os>`;
    await machine("base", { disks: [await image("base.qcow2")], os });
    expectSuccess(await clone({ source: "base", target: "copy" }), 201);
    const own = nvram.replace("base", "copy");
    expect(textOf(await parsed("copy"), "os", "nvram")).toBe(own);
    expect(readFileSync(own).equals(readFileSync(nvram))).toBe(true);
    await virsh("start", "--domain", "base");
    expectSuccess(await server.post("/libvirt/domain/start", { name: "copy" }));
    const third = nvram.replace("base", "third");
    writeFileSync(third, "somebody's");
    expectError(await clone({ source: "copy", target: "x" }), 500, "in_use", /running/);
    await virsh("destroy", "--domain", "copy");
    expectError(
      await clone({ source: "copy", target: "third" }),
      500,
      "already_exists",
      /NVRAM file .*third_VARS.fd/,
    );
    expect(readFileSync(third, "utf8")).toBe("somebody's");
    expect(existsSync(at("third.qcow2"))).toBe(false);
    rmSync(third);
  });

  test("keeps firmware variables whose file libvirt alone has named", async () => {
    await machine("base", {
      disks: [await image("base.qcow2")],
      os: xml`<os firmware="efi"><type arch="x86_64" machine="q35">hvm</type></os>`,
    });
    await virsh("start", "--domain", "base"); // which makes the file
    await virsh("destroy", "--domain", "base");
    const nvram = (name: string) => `/var/lib/libvirt/qemu/nvram/${name}_VARS.fd`;
    await sh(`printf mine | dd of=${nvram("base")} bs=1 seek=100 conv=notrunc 2>/dev/null`);
    expectSuccess(await clone({ source: "base", target: "copy" }), 201);
    expect(readFileSync(nvram("copy")).equals(readFileSync(nvram("base")))).toBe(true);
    expectSuccess(await server.post("/libvirt/domain/start", { name: "copy" }));
    expect(await virsh("dumpxml", "--domain", "copy")).toContain(`>${nvram("copy")}</nvram>`);
    expect(readFileSync(nvram("copy")).subarray(100, 104).toString()).toBe("mine");
    await virsh("destroy", "--domain", "copy");
    const exported = { template: "base", export_path: "/var/lib/libvirt/exports" };
    const { path } = expectSuccess(await server.post("/libvirt/template/export", exported));
    await virsh("undefine", "--domain", "base", "--nvram");
    await virsh("define", "--file", `${path}/domain.xml`);
    await virsh("start", "--domain", "base");
    expect(await virsh("dumpxml", "--domain", "base")).toContain(`>${path}/nvram.fd</nvram>`);
    expect(readFileSync(`${path}/nvram.fd`).subarray(100, 104).toString()).toBe("mine");
  });

  test("copies volumes, devices and floppies, refers to CD-ROMs, read-only and shared disks", async () => {
    const disks = [
      xml`<disk type="volume" device="disk"><driver name="qemu" type="qcow2"/><source pool="default" volume="v.qcow2"/><target dev="vda" bus="virtio"/></disk>`,
      xml`<disk type="block" device="disk"><driver name="qemu" type="raw"/><source dev="${at("b.raw")}"/><target dev="vdb" bus="virtio"/></disk>`,
      xml`<disk type="file" device="cdrom"><source file="${at("c.iso")}"/><target dev="hda" bus="ide"/><readonly/></disk>`,
      xml`<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${at("s.raw")}"/><target dev="vdc" bus="virtio"/><shareable/></disk>`,
      xml`<disk type="file" device="floppy"><source file="${at("base.flp")}"/><target dev="fda" bus="fdc"/></disk>`,
      xml`<disk type="file" device="floppy"><source file="${at("r.flp")}"/><target dev="fdb" bus="fdc"/><readonly/></disk>`,
    ];
    for (const name of ["v.qcow2", "b.raw", "c.iso", "s.raw"]) await image(name);
    for (const name of ["base.flp", "r.flp"]) await image(name, "5760K");
    await machine("base", { disks });
    const paths = async (name: string) => {
      const sources = children(await parsed(name), "devices", "disk").map((disk) => {
        const [source] = children(disk, "source");
        const path =
          source?.["@file"] ?? source?.["@dev"] ?? `${source?.["@pool"]}/${source?.["@volume"]}`;
        return [`${attribute(disk, "dev", "target")}`, path];
      });
      return Object.fromEntries(sources);
    };
    const shared = { hda: at("c.iso"), vdc: at("s.raw"), fdb: at("r.flp") };
    expectSuccess(await clone({ source: "base", target: "copy" }), 201);
    expect(await paths("copy")).toEqual({
      ...{ ...shared, vda: "default/copy-vda.qcow2", vdb: at("copy-vdb.raw"), fda: at("copy.flp") },
    });
    expect(await same(at("base.flp"), at("copy.flp"))).toBe(true);
    expect(await same(at("v.qcow2"), at("copy-vda.qcow2"))).toBe(true);
    expect(await same(at("b.raw"), at("copy-vdb.raw"))).toBe(true);
    expectSuccess(await server.post("/libvirt/domain/start", { name: "copy" }));
    await virsh("destroy", "--domain", "copy");
    expectSuccess(await clone({ source: "base", target: "over", linked: true }), 201);
    expect(await paths("over")).toEqual({
      ...{
        ...shared,
        vda: "default/over-vda.qcow2",
        vdb: at("over-vdb.qcow2"),
        fda: at("over.qcow2"),
      },
    });
    expectSuccess(await server.post("/libvirt/domain/start", { name: "over" }));
    // a machine that has only the floppy could write to what the overlay stands on
    await machine("other", { disks: [disks[4] as Xml] });
    const refused = await server.post("/libvirt/domain/start", { name: "other" });
    expectError(refused, 500, "in_use", /over\.qcow2/);
    const gone = { domains: ["over"], remove_storage: true };
    expect((await server.post("/libvirt/batch/delete", gone)).body.results[0].removed).toContain(
      at("over.qcow2"),
    );
  });

  test("whose metadata hold what a parser may stumble over", async () => {
    const odd = xml`<!-- it's --><?note it's "?><![CDATA[<name>no</name>]]>`;
    const metadata = xml`<metadata><x:y xmlns:x="urn:x:1">${odd}</x:y></metadata>`;
    await base("base", { metadata });
    const kept = /<x:y [\s\S]*<\/x:y>/.exec(await definition("base"))?.[0];
    expect(kept).toContain(`<?note it's "?>`);
    expectSuccess(await clone({ source: "base", target: "copy" }), 201);
    expect(await definition("copy")).toContain(`${kept}`);
    for (const path of ["domain?name=copy", "domains", "template/list", "volumes?pool=default"])
      expectSuccess(await server.get(`/libvirt/${path}`));
    const gone = { domains: ["copy"], remove_storage: true };
    const { body } = await server.post("/libvirt/batch/delete", gone);
    expect(body.results[0], JSON.stringify(body)).toMatchObject({
      success: true,
      removed: [at("copy.qcow2")],
    });
  });

  test("of a disk that its pool has not seen yet", async () => {
    await sh("qemu-img create -q -f qcow2 unseen.qcow2 8M");
    await machine("base", { disks: [at("unseen.qcow2")] });
    expectSuccess(await clone({ source: "base", target: "copy" }), 201);
    expect(await diskPaths("copy")).toEqual([at("copy-vda.qcow2")]);
  });

  test("of disks that are no whole KiB: a clone, linked or not, has exactly their size", async () => {
    const size = 2 * 2 ** 20 + 512;
    await sh(`head -c ${size} /dev/urandom >odd.raw; qemu-img convert -O qcow2 odd.raw odd.qcow2`);
    await virsh("pool-refresh", "default");
    await machine("base", { disks: [at("odd.raw"), at("odd.qcow2")] });
    for (const linked of [false, true]) {
      const input = { source: "base", target: `c${linked}`, linked };
      const { disks } = expectSuccess(await clone(input), 201);
      for (const { path, format } of disks) {
        const info = ["info", "--output=json", "-f", format, path];
        const { stdout } = await run("qemu-img", info);
        expect(JSON.parse(stdout)["virtual-size"]).toBe(size);
        await sh(`qemu-img compare -f ${format} -F raw '${path}' odd.raw`);
      }
    }
  });

  test("of a raw disk with a header that names a file of the hypervisor", async () => {
    writeFileSync("/run/secret", "what the guest may never read\n".repeat(20_000));
    await sh(
      "qemu-img create -q -f qcow2 -b /run/secret -F raw guest.raw 1M; truncate -s 4M guest.raw",
    );
    await virsh("pool-refresh", "default");
    await machine("base", { disks: [at("guest.raw")] });
    for (const linked of [false, true]) {
      const data = expectSuccess(
        await clone({ source: "base", target: `c${linked}`, linked }),
        201,
      );
      const [{ path }] = data.disks;
      await sh(`qemu-img convert -f ${linked ? "qcow2" : "raw"} -O raw '${path}' /run/seen.raw`);
      expect(readFileSync("/run/seen.raw").equals(readFileSync(at("guest.raw")))).toBe(true);
      expect(readFileSync("/run/seen.raw").includes("may never")).toBe(false);
    }
  });
});

describe("clone/multiple", () => {
  test("one that fails is its own, and copies are bounded", async () => {
    const journal = "/run/copies";
    const slow = `echo + >>${journal}; sleep 0.3; $REAL "$@"; code=$?; echo - >>${journal}; exit $code`;
    const other = await start(programs("/run/bin-journal", { "qemu-img": slow }));
    await base();
    await machine("c-3");
    writeFileSync(at("c-5.qcow2"), "somebody's");
    const input = { source: "base", name_prefix: "c", count: 6, start_index: 2 };
    const { status, body } = await other.post("/libvirt/clone/multiple", input);
    expect(status).toBe(200);
    const told = body.results.map((one: Record<string, unknown>) => [
      one.domain,
      one.success,
      one.code,
    ]);
    expect(told).toEqual([
      ["c-2", true, undefined],
      ["c-3", false, "already_exists"],
      ["c-4", true, undefined],
      ["c-5", false, "already_exists"],
      ["c-6", true, undefined],
      ["c-7", true, undefined],
    ]);
    expect(body).toMatchObject({ operation: "clone", total: 6, successful: 4, failed: 2 });
    expect(await names()).toEqual(["base", "c-2", "c-3", "c-4", "c-6", "c-7"]);
    expect(readFileSync(at("c-5.qcow2"), "utf8")).toBe("somebody's");
    let most = 0;
    let now = 0;
    for (const mark of readFileSync(journal, "utf8").split("\n").filter(Boolean)) {
      now += mark === "+" ? 1 : -1;
      most = Math.max(most, now);
    }
    expect(most).toBe(2);
    await other.stop();
  });

  test("a source that does not exist is a 404", async () => {
    for (const source of ["gone", "42", "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01"]) {
      const input = { source, name_prefix: "c", count: 2 };
      const answer = await server.post("/libvirt/clone/multiple", input);
      expectError(answer, 404, "not_found", /./);
    }
    expect(await names()).toEqual([]);
  });

  test.each([
    { count: 0 },
    { count: 1001 },
    { count: 1.5 },
    { start_index: -1 },
    { name_prefix: "a/b" },
  ])("%j is refused", async (change) => {
    const input = { source: "base", name_prefix: "c", count: 2, ...change };
    expectError(await server.post("/libvirt/clone/multiple", input), 400, "invalid_input", /./);
  });
});
