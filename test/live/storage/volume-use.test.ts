/** What would hurt whoever stands on a volume: resize, delete and wipe, beside domains and overlays. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { type Xml, xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  clean,
  defineDomain,
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
const STORE = "/var/lib/libvirt/images";
/** Other names of the same files. */
const LINKS = "/run/links";
const MIB = 2 ** 20;
const MARKER = "what nobody may read again";

const sh = (script: string) =>
  run("sh", ["-euc", script], { cwd: STORE, env, timeout: slow(30_000) });
const at = (name: string) => join(STORE, name);

const { test, server } = labTest();
beforeAll(async () => {
  mkdirSync(LINKS);
  symlinkSync(STORE, join(LINKS, "folder"));
  symlinkSync(at("v"), join(LINKS, "v"));
});
afterAll(async () => {
  for (const path of [LINKS, "/run/disk.xml", "/run/flat", "/run/without-scrub"]) {
    rmSync(path, { recursive: true, force: true });
  }
});
afterEach(async () => {
  await clean();
  for (const name of readdirSync(STORE)) rmSync(at(name), { recursive: true });
  await virsh("pool-refresh", "default");
});

const post = (verb: string, input: object = {}, volume = "v", to = server) =>
  to.post(`/libvirt/volume/${verb}`, { pool: "default", volume, ...input });

/** A volume full of the marker, or what a script makes; libvirt is told of what is there. */
async function volume(script = `yes '${MARKER}' | head -c 1M >v`) {
  await sh(script);
  await virsh("pool-refresh", "default");
}

const disk = (source: Xml, format = "raw", more = xml``) =>
  xml`<disk type="${source.text.includes("pool=") ? "volume" : "file"}" device="disk">
    <driver name="qemu" type="${format}"/>${source}<target dev="vda" bus="virtio"/>${more}</disk>`;
const file = (path: string, format?: string) => disk(xml`<source file="${path}"/>`, format);

/** Store a disk in a domain's definition. */
async function attach(uuid: string, definition: Xml) {
  await writeFile("/run/disk.xml", `${definition}`);
  await virsh("attach-device", "--domain", uuid, "--file", "/run/disk.xml", "--config");
}

/** Define a domain with this disk; resolves to its UUID. */
async function domain(name: string, definition: Xml) {
  const uuid = await defineDomain(name);
  await attach(uuid, definition);
  return uuid;
}

/** QEMU runs and has the disks open; the guest itself waits, for it would only burn the test's time. */
const start = (uuid: string) => virsh("start", "--paused", "--domain", uuid);

const contents = () =>
  Object.fromEntries(
    readdirSync(STORE).map((name) => [
      name,
      createHash("sha256")
        .update(readFileSync(at(name)))
        .digest("hex"),
    ]),
  );

async function qemuInfo(name = "v") {
  const { stdout } = await run("qemu-img", ["info", "-U", "--output=json", at(name)]);
  const said = JSON.parse(stdout);
  return [said.format, said["virtual-size"]];
}

/** An image of nothing but zeros. */
async function expectEmpty(name: string, format: string, size: number) {
  expect(await qemuInfo(name)).toEqual([format, size]);
  const { stdout } = await run("qemu-img", ["map", "--output=json", "-f", format, at(name)]);
  for (const { zero } of JSON.parse(stdout)) expect(zero).toBe(true);
}

/** Refused because of `who`, and no byte has changed. */
async function expectInUse(answers: Promise<Answer>[], who: string, before = contents()) {
  for (const answer of await Promise.all(answers)) {
    expectError(answer, 500, "in_use", /^volume v /);
    expect(answer.body.error).toContain(who);
  }
  expect(contents()).toEqual(before);
}

describe("delete and wipe beside a domain", () => {
  const HOW: [string, Xml][] = [
    ["by its path", file(at("v"))],
    ["as a volume of the pool", disk(xml`<source pool="default" volume="v"/>`)],
    ["through a link", file(`${LINKS}/v`)],
    ["through a link to its folder", file(`${LINKS}/folder/v`)],
    ["through .. and //", file(`${STORE}//../images/./v`)],
    [
      "as a CD-ROM",
      xml`<disk type="file" device="cdrom"><source file="${at("v")}"/><target dev="hda" bus="ide"/></disk>`,
    ],
  ];
  test.each(HOW)("that uses the volume %s", async (_how, definition) => {
    await volume();
    const name = "it's  a vm";
    const uuid = await domain(name, definition);
    const off = [post("delete"), post("wipe"), post("wipe", { algorithm: "trim" })];
    await expectInUse(off, `is used by ${name}; force: true`);
    expect((await post("delete")).body.domains).toEqual([name]);

    await start(uuid);
    const running = [false, true].flatMap((force) => [
      post("delete", { force }),
      post("wipe", { force }),
      post("wipe", { force, algorithm: "trim" }),
    ]);
    await expectInUse(running, `is used by the running domain ${name}`);

    await virsh("destroy", "--domain", uuid);
    expectSuccess(await post("wipe", { force: true }));
    expect(readFileSync(at("v")).includes("nobody")).toBe(false);
    const gone = expectSuccess(await post("delete", { force: true }));
    expect(gone).toEqual({ pool: "default", volume: "v", path: at("v") });
    expect(readdirSync(STORE)).toEqual([]);
    expect((await virsh("vol-list", "default")).trim()).toBe("");
  });

  test.each([
    ["at work", []],
    ["transient", ["undefine"]],
  ] as [string, string[]][])("that is %s: it runs", async (_state, verbs) => {
    await volume();
    const uuid = await domain("vm", file(at("v")));
    for (const verb of ["start", ...verbs]) await virsh(verb, "--domain", uuid);
    const answers = [post("delete", { force: true }), post("wipe", { force: true })];
    await expectInUse(answers, "is used by the running domain vm");
  });

  test("several: a running one counts, whatever the others do", async () => {
    await volume();
    const shared = disk(xml`<source file="${at("v")}"/>`, "raw", xml`<shareable/>`);
    await domain("first", shared);
    await domain("second", shared);
    await expectInUse([post("delete")], "is used by first, second;");
    const third = await domain("third", shared);
    await start(third);
    await expectInUse([post("delete", { force: true })], "is used by the running domain third");
  });

  test("that has the volume below its own: as good as its own", async () => {
    mkdirSync("/var/lib/libvirt/apart"); // no pool knows this folder
    await volume(`yes '${MARKER}' | head -c 1M >v
      qemu-img create -f qcow2 -b ${at("v")} -F raw /var/lib/libvirt/apart/top`);
    const uuid = await domain("vm", file("/var/lib/libvirt/apart/top", "qcow2"));
    await start(uuid);
    const answers = [post("delete", { force: true }), post("wipe", { force: true })];
    await expectInUse(answers, "is used by the running domain vm");
    await expectInUse([post("resize", { capacity: "2MiB" })], "is the base of vm");
    rmSync("/var/lib/libvirt/apart", { recursive: true });
  });

  test("that uses another volume: it is not held up", async () => {
    await volume(`yes '${MARKER}' | head -c 1M >v; cp v other; cp v 'v '`);
    for (const name of ["other", "v "]) await start(await domain(`vm-${name}`, file(at(name))));
    expectSuccess(await post("delete"));
    expect(readdirSync(STORE).sort()).toEqual(["other", "v "]);
  });
});

test.each([
  ["overlay", "-b v", "overlay"],
  ["two   words", `-b ${STORE}/v`, "'two   words'"],
  ["back\\x41slash", `-b ${LINKS}/v`, "'back\\x41slash'"],
])(
  "the base of %j cannot be resized, deleted or wiped, not even by force",
  async (name, base, quoted) => {
    await volume();
    await sh(`qemu-img create -f qcow2 ${base} -F raw ${quoted}`); // libvirt does not know of it yet
    const answers = [
      post("delete"),
      post("delete", { force: true }),
      post("wipe", { force: true }),
      post("resize", { capacity: "2MiB" }),
      post("resize", { capacity: "512KiB", shrink: true }),
    ];
    await expectInUse(answers, `is the base of ${at(name)}`);
    expect((await post("delete")).body.children).toEqual([at(name)]);
    expectSuccess(await post("delete", {}, name));
    expectSuccess(await post("delete"));
    expect(readdirSync(STORE)).toEqual([]);
  },
);

test("clone: a qcow2 that a running domain writes to cannot be read, and nothing is left", async () => {
  await volume("qemu-img create -f qcow2 v 1M");
  await start(await domain("vm", file(at("v"), "qcow2")));
  const input = { pool: "default", source_volume: "v", target_volume: "copy" };
  expectError(
    await server.post("/libvirt/volume/clone", input),
    500,
    "in_use",
    /running domain vm/,
  );
  expect(readdirSync(STORE)).toEqual(["v"]);
  expect((await virsh("vol-list", "default")).trim().split("\n")).toHaveLength(1);
});

test("delete: what is gone is not found", async () => {
  await volume();
  const answer = await post("delete");
  expect(answer.body.message).toBe("Volume v deleted from pool default");
  expectSuccess(answer);
  expectError(await post("delete"), 404, "not_found", /'v'/);
});

describe("resize", () => {
  const MAKE = {
    raw: `yes '${MARKER}' | head -c 1M >v`,
    qcow2: `yes '${MARKER}' | head -c 1M >raw
    qemu-img convert -O qcow2 raw v; rm raw`,
  };
  const FORMATS = ["raw", "qcow2"] as const;
  /** The volume's first MiB, as a guest sees it. */
  async function data() {
    await sh(`qemu-img convert -U -O raw v /run/flat`);
    return readFileSync("/run/flat").subarray(0, MIB).toString();
  }

  test.each(FORMATS)("%s: it grows, stays, and shrinks only when told to", async (format) => {
    await volume(MAKE[format]);
    const before = await data();
    const steps: [string | number, number][] = [
      ["3MiB", 3 * MIB],
      ["3MiB", 3 * MIB],
      [0.01, 10737418],
    ];
    for (const [capacity, bytes] of steps) {
      const answer = await post("resize", { capacity });
      const size = Math.ceil(bytes / 512) * 512;
      expect(await qemuInfo()).toEqual([format, size]);
      expect(expectSuccess(answer)).toMatchObject({ name: "v", format });
      expect(size - answer.body.data.capacity_bytes).toBeLessThan(512);
      expect((await data()) === before).toBe(true);
    }
    const grown = contents();
    for (const shrink of [{}, { shrink: false }]) {
      const answer = await post("resize", { capacity: "2MiB", ...shrink });
      expectError(answer, 400, "invalid_input", /^capacity: 2097152 bytes is less .*shrink: true/);
    }
    expect(contents()).toEqual(grown);
    const shrunk = expectSuccess(await post("resize", { capacity: "2MiB", shrink: true }));
    expect(shrunk.capacity_bytes).toBe(2 * MIB);
    expect(await qemuInfo()).toEqual([format, 2 * MIB]);
    expect((await data()) === before).toBe(true);
  });

  test("a capacity or an option that is none: 400, unchanged", async () => {
    await volume();
    const before = contents();
    for (const capacity of [0, -1, "", "x", "1XB", null]) {
      expectError(await post("resize", { capacity }), 400, "invalid_input", /^capacity: /);
    }
    for (const shrink of ["true", 1, null]) {
      const answer = await post("resize", { capacity: 1, shrink });
      expectError(answer, 400, "invalid_input", /^shrink: /);
    }
    expect(contents()).toEqual(before);
  });

  test("a format that cannot: unsupported, unchanged", async () => {
    await volume("qemu-img create -f vmdk v 1M");
    const before = contents();
    expectError(await post("resize", { capacity: 1 }), 500, "unsupported", /not support resize/);
    expect(contents()).toEqual(before);
  });

  test("of a domain that is off", async () => {
    await volume(MAKE.qcow2);
    await domain("vm", file(at("v"), "qcow2"));
    expectSuccess(await post("resize", { capacity: "3MiB" }));
    expect(await qemuInfo()).toEqual(["qcow2", 3 * MIB]);
    expectSuccess(await post("resize", { capacity: "2MiB", shrink: true }));
    expect(await qemuInfo()).toEqual(["qcow2", 2 * MIB]);
  });

  test.each([
    ["raw", "by its path", "it's  a vm", file(at("v"), "raw")],
    ["qcow2", "through a link, and its name is another's ID", "", file(`${LINKS}/v`, "qcow2")],
    [
      "qcow2",
      "as a volume of the pool",
      "vm",
      disk(xml`<source pool="default" volume="v"/>`, "qcow2"),
    ],
  ] as const)("%s of a running domain, %s", async (format, _how, given, definition) => {
    await volume(MAKE[format]);
    const other = await defineDomain("other", { verb: "create" });
    const name = given || (await virsh("domid", "--domain", other)).trim();
    const uuid = await domain(name, definition);
    await virsh("start", "--domain", uuid);
    const machines = processes("qemu-system-x86_64");
    const grown = expectSuccess(await post("resize", { capacity: "5MiB" }));
    expect(grown).toMatchObject({ capacity_bytes: 5 * MIB, format });
    const seen = await virsh("domblkinfo", "--domain", uuid, "vda");
    expect(Number(seen.match(/Capacity: +(\d+)/)?.[1])).toBe(5 * MIB);
    expect(await qemuInfo()).toEqual([format, 5 * MIB]);
    expect(await virsh("vol-dumpxml", "--pool", "default", "v")).toContain(
      `>${5 * MIB}</capacity>`,
    );

    const answer = await post("resize", { capacity: "2MiB", shrink: true });
    expectError(answer, 500, "in_use", new RegExp(`cannot shrink while ${name} runs`));
    expect(await qemuInfo()).toEqual([format, 5 * MIB]);
    expect((await virsh("domstate", "--domain", uuid)).trim()).toBe("running");
    expect(processes("qemu-system-x86_64")).toEqual(machines);
  });

  test("of a running domain while its pool is at work: done, and told so", async () => {
    await volume(`qemu-img create -f qcow2 v 1M; head -c 200M /dev/urandom >raw
      qemu-img create -f qcow2 -b raw -F raw overlay`);
    await start(await domain("vm", file(at("v"), "qcow2")));
    const copy = virsh("vol-clone", "--pool", "default", "--vol", "overlay", "--newname", "copy");
    await until("libvirt copies", () => processes("qemu-img").length > 0);
    const [copying = 0] = processes("qemu-img");
    process.kill(copying, "SIGSTOP");
    try {
      await expect(virsh("pool-refresh", "default")).rejects.toThrow(/asynchronous jobs/);
      const grown = expectSuccess(await post("resize", { capacity: "3MiB" }));
      expect(grown.capacity_bytes).toBe(3 * MIB);
      expect(await qemuInfo()).toEqual(["qcow2", 3 * MIB]);
    } finally {
      process.kill(copying, "SIGCONT");
      await copy;
    }
  });

  test("of a running domain that has the volume at its next start, and another in its place now", async () => {
    await volume(`qemu-img create -f qcow2 v 1M; cp v now`);
    const uuid = await domain("vm", file(at("now"), "qcow2"));
    await start(uuid);
    await virsh("detach-disk", uuid, "vda", "--config");
    await attach(uuid, file(at("v"), "qcow2"));
    expect(expectSuccess(await post("resize", { capacity: "3MiB" })).capacity_bytes).toBe(3 * MIB);
    expect([await qemuInfo("v"), await qemuInfo("now")]).toEqual([
      ["qcow2", 3 * MIB],
      ["qcow2", MIB],
    ]);
  });
});

describe("wipe", () => {
  const ALGORITHMS = "zero nnsa dod bsi gutmann schneier pfitzner7 pfitzner33 random".split(" ");

  test.each(ALGORITHMS)("%s: the old bytes are gone", async (algorithm) => {
    await volume(
      `yes '${MARKER}' | head -c 256K >v; qemu-img convert -O qcow2 v q; ln v hard; ln q link`,
    );
    for (const name of ["v", "q"]) {
      const { size } = statSync(at(name));
      const answer = await post("wipe", algorithm === "zero" ? {} : { algorithm }, name);
      const recreated = name === "q";
      const anew = recreated ? " and made anew, empty" : "";
      expect(answer.body.message).toBe(`Volume ${name} wiped (${algorithm})${anew}`);
      const wiped = { pool: "default", volume: name, algorithm, recreated };
      expect(expectSuccess(answer)).toEqual(wiped);
      if (recreated) await expectEmpty("q", "qcow2", 256 * 1024);
      // the second name shows that it is the same file that was overwritten
      for (const same of name === "v" ? ["v", "hard"] : ["link"]) {
        const bytes = readFileSync(at(same));
        expect(bytes.length).toBeGreaterThanOrEqual(size);
        expect(bytes.includes("nobody")).toBe(false);
        if (algorithm === "zero") expect(bytes.every((byte) => byte === 0)).toBe(true);
      }
    }
  });

  test("trim: the bytes are gone, and so is the room they took", async () => {
    await volume(`yes '${MARKER}' | head -c 1M >v; qemu-img convert -O qcow2 v 'q  x'`);
    for (const name of ["v", "q  x"]) {
      linkSync(at(name), at("hard"));
      expectSuccess(await post("wipe", { algorithm: "trim" }, name));
      await expectEmpty(name, name === "v" ? "raw" : "qcow2", 2 ** 20);
      expect(readFileSync(at(name)).includes("nobody")).toBe(false);
      expect(statSync(at("hard"))).toMatchObject({ size: 0, blocks: 0 });
      rmSync(at("hard"));
    }
    expect(statSync(at("v"))).toMatchObject({ size: 2 ** 20, blocks: 0 });
  });

  test("sparse volumes stay sparse with zero", async () => {
    await volume(`echo '${MARKER}' >v; truncate -s 1G v`);
    expectSuccess(await post("wipe"));
    const { size, blocks } = statSync(at("v"));
    expect([size, blocks]).toEqual([2 ** 30, 0]);
  });

  test("algorithms that are none, and a force that is none: 400, unchanged", async () => {
    await volume();
    const before = contents();
    for (const algorithm of ["", "Zero", "fast", "dod ", 1, null]) {
      expectError(await post("wipe", { algorithm }), 400, "invalid_input", /^algorithm: .*zero/);
    }
    for (const verb of ["wipe", "delete"]) {
      for (const force of ["true", 1, null]) {
        expectError(await post(verb, { force }), 400, "invalid_input", /^force: /);
      }
    }
    expect(contents()).toEqual(before);
  });

  test("without scrub: it says so and wipes nothing, but for zero and trim", async () => {
    await volume();
    const before = contents();
    mkdirSync("/run/without-scrub");
    for (const folder of `${process.env.PATH}`.split(":").filter((path) => existsSync(path))) {
      for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        try {
          accessSync(path, constants.X_OK);
          if (name !== "scrub") symlinkSync(path, join("/run/without-scrub", name));
        } catch {
          // no program, or an earlier folder has one of this name
        }
      }
    }
    const poor = await startServer({ PATH: "/run/without-scrub" });
    try {
      for (const algorithm of ALGORITHMS.slice(1)) {
        const answer = await post("wipe", { algorithm }, "v", poor);
        expectError(answer, 500, "unsupported", /^algorithm: .* needs .*scrub.* install/);
        expect(answer.body.error).toContain(algorithm);
      }
      expect(contents()).toEqual(before);
      for (const algorithm of ["zero", "trim"]) {
        expectSuccess(await post("wipe", { algorithm }, "v", poor));
      }
    } finally {
      await poor.stop();
    }
  });
});
