/**
 * Every step of a clone, a template and a deployment that can fail is made to fail: no disk, domain, file or
 * note is left, the source is as it was, and the answer says why. What a killed server leaves is named.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { asJobs, NOT_AS_JOB } from "../../as-job.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  everything,
  image,
  machine,
  type Options,
  programs,
  STORE,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import {
  alive,
  defineNetwork,
  expectError,
  expectSuccess,
  until,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const { test, server } = labTest({ start, tidy: wipe });
beforeAll(async () => {
  for (const name of ["lan", "idle"]) await defineNetwork(name);
  await virsh("net-start", "lan");
});
afterAll(async () => {
  await virsh("net-destroy", "lan");
  for (const name of ["lan", "idle"]) await virsh("net-undefine", name);
});

const post = (path: string, input: object, to = server, init?: RequestInit) =>
  to.post(`/libvirt/${path}`, input, init);
const clone = (input: object, to = server) => post("clone", input, to);
const deploy = (input: object, to = server) =>
  post("template/deploy", { template: "base", name: "copy", ...input }, to);

let before: Awaited<ReturnType<typeof everything>>;
/** While things go away they cannot be looked at. */
const settled = () =>
  everything().then(
    (now) => Bun.deepEquals(now, before),
    () => false,
  );
/** Everything is as it was, and at once. */
const expectNothingLeft = async () => expect(await everything()).toEqual(before);

/** A machine `base` on one qcow2 disk of its own. */
async function setUp(options: Options = {}) {
  const path = await image("base.qcow2");
  await machine("base", { disks: [path], network: "lan", ...options });
  before = await everything();
}

const fake = (scripts: Record<string, string>, name = "fake") =>
  start(programs(`/run/bin-${name}`, scripts));

/** One call of each endpoint that makes a domain from another. */
const MAKERS = [
  ["clone", { source: "base", target: "copy" }],
  ["clone, linked", { source: "base", target: "copy", linked: true }],
  ["clone/multiple", { source: "base", name_prefix: "copy", count: 3 }],
  ["template/create", { domain: "base", name: "copy" }],
  ["template/deploy", { template: "base", name: "copy", memory: 48, autostart: true }],
] as const;

describe("no space", () => {
  test.beforeEach(async ({ pool }) => {
    await pool("small", "6m");
  });

  test.each(MAKERS.filter(([maker]) => maker !== "clone, linked"))("%s", async (path, input) => {
    await image("base.qcow2");
    await sh("mv base.qcow2 /run/small/");
    await virsh("pool-refresh", "small");
    await machine("base", { disks: ["/run/small/base.qcow2"], network: "lan" });
    before = await everything();
    const answer = await post(path, input);
    if (path === "clone/multiple") {
      expect(answer.body).toMatchObject({ successful: 0, failed: 3 });
      for (const { code } of answer.body.results) expect(code).toBe("no_space");
    } else expectError(answer, 500, "no_space", /^qemu-img convert: .*No space left/s);
    await expectNothingLeft();
  });

  test("for the second of two disks, and for an overlay", async () => {
    await setUp({ disks: [await image("a.qcow2"), await image("b.qcow2")] });
    const input = { source: "base", target: "copy" };
    const files = ["/run/small/a.qcow2", "/run/small/b.qcow2"];
    expectError(
      await clone({ ...input, files }),
      500,
      "no_space",
      /^qemu-img convert: .*No space left/s,
    );
    await expectNothingLeft();
    await sh("head -c 6M /dev/zero >/run/small/full || true");
    before = await everything();
    expectError(await clone({ ...input, files, linked: true }), 500, "no_space", /./);
    await expectNothingLeft();
  });
});

test("names and paths that are taken or wrong", async () => {
  await setUp({ disks: [await image("a.qcow2"), await image("b.qcow2")] });
  await machine("taken");
  writeFileSync(at("taken.qcow2"), "somebody's");
  await machine("nowhere", { disks: ["/run/nowhere.raw"] });
  before = await everything();
  const [ok, inside] = [at("new.qcow2"), `${STORE}/sub/x.qcow2`];
  const cases: [object, number, string, RegExp][] = [
    [{ target: "taken" }, 500, "already_exists", /domain 'taken' already exists/],
    [{ target: "base" }, 500, "already_exists", /domain 'base' already exists/],
    [{ files: [ok, at("taken.qcow2")] }, 500, "already_exists", /taken\.qcow2/],
    [{ files: [ok, at("base.qcow2")] }, 500, "already_exists", /base\.qcow2/],
    [{ files: [ok, ok] }, 400, "invalid_input", /is named twice/],
    [{ files: [ok, inside, at("c")] }, 400, "invalid_input", /./],
    [{ files: [ok, at("x"), at("c")] }, 400, "invalid_input", /has 2 disks to copy, not 3/],
    [{ files: [ok, inside] }, 400, "invalid_input", /is in no active pool/],
    [{ files: ["relative"] }, 400, "invalid_input", /^files\.0: must be an absolute path/],
    [{ source: "nobody" }, 404, "not_found", /nobody/],
    [{ source: "nowhere" }, 404, "not_found", /^\/run\/nowhere\.raw does not exist/],
    [{ target: "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01" }, 400, "invalid_input", /UUID/],
    [{ extra: 1 }, 400, "invalid_input", /unknown key "extra"/],
  ];
  for (const [change, ...expected] of cases) {
    expectError(await clone({ source: "base", target: "copy", ...change }), ...expected);
    await expectNothingLeft();
  }
});

test.each([
  ["template/create", { domain: "base", name: "taken" }],
  ["template/deploy", { template: "base", name: "taken", linked: true }],
] as const)("%s with a name or a disk that is taken", async (path, input) => {
  await setUp();
  await machine("taken");
  writeFileSync(at("mine.qcow2"), "somebody's");
  before = await everything();
  expectError(await post(path, input), 500, "already_exists", /^domain 'taken' already exists/);
  expectError(await post(path, { ...input, name: "mine" }), 500, "already_exists", /mine\.qcow2/);
  await expectNothingLeft();
});

test("the network, the definition, the start", async () => {
  await setUp();
  const cases: [object, number, string, RegExp][] = [
    [{ network: "missing" }, 404, "not_found", /missing/],
    [{ vcpus: 4096 }, 500, "unsupported", /./],
    [{ network: "idle", autostart: true }, 500, "not_active", /network 'idle' is not active/],
    [{ memory: 2 ** 30, autostart: true }, 500, "virsh_failed", /./],
  ];
  for (const [input, ...expected] of cases) {
    expectError(await deploy(input), ...expected);
    await expectNothingLeft();
    expectError(await deploy({ ...input, linked: true }), ...expected);
    await expectNothingLeft();
  }
});

test("a start that has made the firmware's variables", async () => {
  const os = xml`<os><type arch="x86_64" machine="q35">hvm</type>
    <loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram template="/usr/share/OVMF/OVMF_VARS_4M.fd">/var/lib/libvirt/qemu/nvram/base_VARS.fd</nvram></os>`;
  await setUp({ os });
  for (const input of [{ network: "idle" }, { memory: 2 ** 28 }]) {
    expect((await deploy({ ...input, autostart: true })).status).toBe(500);
    await expectNothingLeft();
  }
});

test("the programs", async () => {
  await setUp();
  const broken = {
    "virt-sysprep": "echo 'no kernel' >&2; exit 1",
    "virt-customize": "cat >/run/said; echo 'bad line' >&2; exit 1",
  };
  const other = await fake(broken);
  const sealed = { domain: "base", name: "copy", seal: true };
  expectError(
    await other.post("/libvirt/template/create", sealed),
    500,
    "command_failed",
    /^virt-sysprep: no kernel/,
  );
  await expectNothingLeft();
  const customize = { root_password: "secret", run_commands: ["x"] };
  expectError(
    await deploy({ customize }, other),
    500,
    "command_failed",
    /^virt-customize: bad line/,
  );
  await expectNothingLeft();
  expect(readFileSync("/run/said", "utf8")).toBe("root-password password:secret\nrun-command x\n");
  await other.stop();

  const os = xml`<os><type arch="x86_64" machine="q35">hvm</type>
    <loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader><nvram>/run/base_VARS.fd</nvram></os>`;
  await machine("uefi", { disks: [await image("uefi.qcow2")], os });
  await sh("cp /usr/share/OVMF/OVMF_VARS_4M.fd /run/base_VARS.fd");
  before = await everything();
  // the isolation of qemu-img copies links (cp -P)
  const cp = '[ "$1" != -P ] || exec $REAL "$@"; $REAL "$@"; echo "Input/output error" >&2; exit 1';
  const uncopied = await fake({ cp }, "cp");
  const uefi = { source: "uefi", target: "copy" };
  expectError(await clone(uefi, uncopied), 500, "command_failed", /^cp: Input/);
  await expectNothingLeft();
  expect(existsSync("/run/copy-base_VARS.fd")).toBe(false);
  await uncopied.stop();
  rmSync("/run/base_VARS.fd");

  const half = await fake(
    { "qemu-img": '$REAL "$@"; echo "Input/output error" >&2; exit 1' },
    "half",
  );
  expectError(
    await clone({ source: "base", target: "copy" }, half),
    500,
    "command_failed",
    /^qemu-img convert: /,
  );
  await expectNothingLeft();
  await half.stop();

  const bare = programs("/run/bin-bare", {});
  await sh(
    `for p in /usr/bin/* /bin/* /usr/sbin/*; do n=\${p##*/}; case $n in virt-*) ;; *) ln -sf $p ${bare}/$n;; esac; done`,
  );
  const without = await start(undefined, { PATH: bare });
  expectError(
    await without.post("/libvirt/template/create", sealed),
    500,
    "unsupported",
    /seal needs virt-sysprep .* "libguestfs-tools"/,
  );
  expectError(
    await deploy({ customize }, without),
    500,
    "unsupported",
    /customize needs virt-customize/,
  );
  await expectNothingLeft();
  await without.stop();
});

/** A virsh that waits before it is told to define or start: until `/run/go` is there, or its server is not. */
const HELD = (verb: string) => `export REAL
exec bash -c 'exec "$REAL" "$@" < <(while IFS= read -r line; do
  case $line in *[\\ \\;]"${verb} --"*) touch /run/held
    until [ -e /run/go ]; do sleep 0.05; kill -0 '$PPID' || exit; done;; esac
  printf "%s\\n" "$line"; done)' bash "$@"`;
/** A program that is at work for long. */
const BUSY = 'case $0 in *chroot) $REAL "$@";; esac; touch /run/held; sleep 60';

const customize = { hostname: "x" };
const STEPS: [string, Record<string, string>, string, object][] = [
  ["a copy", { "qemu-img": BUSY }, "clone", MAKERS[0][1]],
  ["one of several copies", { "qemu-img": BUSY }, "clone/multiple", MAKERS[2][1]],
  ["a template's copy", { "qemu-img": BUSY }, "template/create", MAKERS[3][1]],
  ["a deployment's copy", { "qemu-img": BUSY }, "template/deploy", MAKERS[4][1]],
  ["seal", { "virt-sysprep": BUSY }, "template/create", { ...MAKERS[3][1], seal: true }],
  ["customize", { "virt-customize": BUSY }, "template/deploy", { ...MAKERS[4][1], customize }],
  ["the definition", { virsh: HELD("define") }, "clone", MAKERS[1][1]],
  ["autostart, once defined", { virsh: HELD("autostart") }, "template/deploy", MAKERS[4][1]],
  ["the start, once defined", { virsh: HELD("start") }, "template/deploy", MAKERS[4][1]],
];

/** A call that is held in one of its steps. */
async function hold(scripts: Record<string, string>, path: string, input: object) {
  for (const path of ["/run/held", "/run/go", "/run/bin-held"])
    rmSync(path, { recursive: true, force: true });
  const other = await fake(scripts, "held");
  const gone = new AbortController();
  const answer = post(path, input, other, { signal: gone.signal }).catch(() => "gone");
  await until("it is held", () => existsSync("/run/held"), 20);
  expect((await everything()).notes.length).toBeGreaterThan(0);
  return { other, gone, answer };
}

test.skipIf(asJobs).each(STEPS)(
  `the caller goes away during %s ${NOT_AS_JOB}`,
  async (_step, scripts, path, input) => {
    await setUp();
    const { other, gone, answer } = await hold(scripts, path, input);
    gone.abort();
    expect(await answer).toBe("gone");
    await sleep(slow(200)); // until the server has noticed, too
    writeFileSync("/run/go", "");
    await until("nothing is left", settled, 20);
    await other.stop();
  },
);

test.skipIf(asJobs).each(STEPS)(
  `the server is killed during %s: the next one names what is left ${NOT_AS_JOB}`,
  async (_step, scripts, path, input) => {
    await setUp();
    const leftovers = async () => (await server.get("/status")).body.data.hosts[0].leftovers;
    const { other, answer } = await hold(scripts, path, input);
    expect(await leftovers()).toEqual([]);
    process.kill(other.pid, "SIGKILL");
    await until("it is dead", () => !alive(other.pid));
    expect(await answer).toBe("gone");
    const found: { operation: string; started: string; left: string[] }[] = await leftovers();
    for (const { operation, started } of found) {
      expect(operation).toMatch(/^clone of base to copy(-\d)?$/);
      expect(Date.parse(started)).toBeGreaterThan(Date.now() - 60_000);
    }
    // all that is there and was not there before, and nothing else
    const now = await everything();
    const files = Object.keys(now.files).filter((name) => !(name in before.files));
    const domains = Object.keys(now.domains).filter((name) => !(name in before.domains));
    const uuids = await Promise.all(domains.map((name) => virsh("domuuid", "--domain", name)));
    const folders = (await sh("ls -d /tmp/hypersdk-*-*-*-*-* || true")).split("\n").filter(Boolean);
    const named = found.flatMap(({ left }) => left);
    const ours = folders.filter((name) => named.includes(`folder ${name}`)); // other labs have theirs there
    expect(named.sort()).toEqual(
      [
        ...files.map((name) => `volume ${name.slice(STORE.length + 1)} of pool default`),
        ...uuids.map((uuid) => `domain ${uuid.trim()}`),
        ...ours.map((name) => `folder ${name}`),
      ].sort(),
    );
    expect(named.length).toBeGreaterThan(0);
    expect(ours.length).toBe(/seal|customize/.test(JSON.stringify(input)) ? 1 : 0);
    // somebody clears it up: nothing is named any more
    for (const name of domains) await virsh("undefine", "--domain", name);
    for (const name of files) {
      const volume = name.slice(STORE.length + 1);
      expectSuccess(await post("volume/delete", { pool: "default", volume }));
    }
    for (const name of ours) rmSync(name, { recursive: true });
    expect(await leftovers()).toEqual([]);
    await until("nothing is left", settled, 5);
  },
);
