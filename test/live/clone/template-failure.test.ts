/**
 * libguestfs at work in a real Debian's disk when its caller leaves, its server is killed, or its pool is
 * full: what is left, down to its processes and temporary files.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { afterAll, beforeAll, expect } from "vitest";
import { asJobs, NOT_AS_JOB } from "../../as-job.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  everything,
  GUESTFS,
  machine,
  programs,
  sha256,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { alive, expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { debianGuest, debianOs } from "../../lab/debian.ts";

const { test, server } = labTest({ start });
beforeAll(async () => {
  copyFileSync(debianGuest().disk, at("debian.qcow2"));
  await virsh("pool-refresh", "default");
  await machine("debian", { disks: [at("debian.qcow2")], os: debianOs() });
});
afterAll(async () => {
  await wipe();
});

const CALLS: [string, string, object][] = [
  ["virt-sysprep", "template/create", { domain: "debian", name: "t", seal: true }],
  [
    "virt-customize",
    "template/deploy",
    {
      template: "debian",
      name: "t",
      linked: true,
      customize: { run_commands: ["sleep 100"] },
    },
  ],
];

/** The processes of this lab's libguestfs, whose folder is in their environment. */
const guestfs = () =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
        const folder = environment.find((one) => one.startsWith("LIBGUESTFS_TMPDIR="));
        return folder ? [{ pid: Number(pid), folder: folder.slice(18) }] : [];
      } catch {
        return []; // it has ended
      }
    });

/** A call whose libguestfs has its virtual machine at work. */
async function begin([program, path, input]: (typeof CALLS)[number]) {
  const other = await start(
    programs("/run/bin-mark", { [program]: 'touch /run/at-work; exec $REAL "$@"' }),
    GUESTFS,
  );
  rmSync("/run/at-work", { force: true });
  const gone = new AbortController();
  const answer = other.post(`/libvirt/${path}`, input, { signal: gone.signal }).catch(() => "gone");
  await until("it has begun", () => existsSync("/run/at-work"), 60);
  const [{ folder } = { folder: "" }] = guestfs();
  const sockets = () => readFileSync("/proc/net/unix", "utf8").match(/\/tmp\/libguestfs\w+/g) ?? [];
  // QEMU is told of the disk's events, and the folder of the socket goes once it has connected
  const runs = () =>
    existsSync(`${folder}/events.out`) && sockets().length > 0 && !sockets().some(existsSync);
  await until("its machine runs", runs, 60);
  const [socket = ""] = sockets();
  return { other, gone, answer, folder, socket };
}

test.each(CALLS)(
  "the caller leaves during %s: nothing is left",
  {
    timeout: slow(180_000),
  },
  async (...call) => {
    const before = await everything();
    const { other, gone, answer, folder, socket } = await begin(call);
    gone.abort();
    expect(await answer).toBe("gone");
    const settled = () => everything().then((now) => Bun.deepEquals(now, before));
    // first, since each look at everything reads the whole Debian
    await until("no process", () => guestfs().length === 0, 30);
    await until("nothing is left", () => settled().catch(() => false), 30);
    expect([folder, socket].filter(existsSync)).toEqual([]);
    await other.stop();
  },
);

test.skipIf(asJobs).each(CALLS)(
  `the server is killed during %s: what is left is named ${NOT_AS_JOB}`,
  {
    timeout: slow(180_000),
  },
  async (...call) => {
    const before = await everything();
    const { other, answer, folder, socket } = await begin(call);
    process.kill(other.pid, "SIGKILL");
    await until("it is dead", () => !alive(other.pid));
    expect(await answer).toBe("gone");
    // and with it all that it had started, as a service manager does
    for (const { pid } of guestfs()) process.kill(pid, "SIGKILL");
    await until("no process", () => guestfs().length === 0, 10);
    const leftovers = async () => (await server.get("/status")).body.data.hosts[0].leftovers;
    const [found] = await leftovers();
    expect(found).toMatchObject({
      operation: "clone of debian to t",
      left: ["volume t.qcow2 of pool default", `folder ${folder}`],
    });
    const now = await everything();
    expect(now.domains).toEqual(before.domains);
    expect(Object.keys(now.files)).toEqual([...Object.keys(before.files), at("t.qcow2")].sort());
    expect([existsSync(folder), existsSync(socket)]).toEqual([true, false]);
    rmSync(folder, { recursive: true });
    const volume = { pool: "default", volume: "t.qcow2" };
    expectSuccess(await server.post("/libvirt/volume/delete", volume));
    expect(await leftovers()).toEqual([]);
    expect(await everything()).toEqual(before);
  },
);

test("the pool is full before virt-customize is done: it says so and leaves nothing", {
  timeout: slow(180_000),
}, async ({ pool }) => {
  await pool("small", "180m");
  copyFileSync(debianGuest().disk, "/run/small/d.qcow2");
  await virsh("pool-refresh", "small");
  await machine("small", { disks: ["/run/small/d.qcow2"], os: debianOs() });
  const before = await everything();
  const other = await start(undefined, GUESTFS);
  const run_commands = ["head -c 100M /dev/urandom >/big; sync"];
  const input = { template: "small", name: "t", linked: true, customize: { run_commands } };
  const answer = await other.post("/libvirt/template/deploy", input);
  expectError(answer, 500, "no_space", /^virt-customize: the disk: No space left on device/);
  expect(await everything()).toEqual(before);
  expect(guestfs()).toEqual([]);
  await other.stop();
  await virsh("undefine", "small");
});

test("the source kept its bytes all the while", () => {
  expect(sha256(at("debian.qcow2"))).toBe(sha256(debianGuest().disk));
});
