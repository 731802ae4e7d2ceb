/** Login shells whose profile takes too long: nobody waits for them without end, and each connection fails once. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { sshTransport } from "../../../runtime/hypervisor/ssh/transport.ts";
import type { Transport } from "../../../runtime/hypervisor/transport.ts";
import { processes, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { connections, type Sshd, startSshd } from "../../lab/sshd.ts";

const TIMEOUT = slow(1500) / 1000;
const SETTINGS = { timeout: TIMEOUT, keepalive: 15, idle: 300, logins: 4 };
const LATE = /^hypervisor kvm1: no shell there: the login as .* its shell does not answer within/;

const folder = mkdtempSync(join(tmpdir(), "ssh-slow-shells-"));
const [file, log, hung] = ["profile", "log", "hung"].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
const CONFIG = [`ForceCommand . ${file}; exec sh -c "$SSH_ORIGINAL_COMMAND"`, "MaxSessions 10"];
/** What each login shell does first. */
const profile = (text: string) => writeFileSync(file, `${text}\n`);
const hang = () => {
  writeFileSync(hung, "");
  profile(`echo >>${log}; while [ -e ${hung} ]; do sleep 0.1; done`);
};
const mend = () => rmSync(hung, { force: true });
const logins = () => readFileSync(log, "utf8").length;

let sshd: Sshd;
let kvm1: Transport;
beforeAll(async () => {
  sshd = await startSshd({ config: CONFIG });
});
afterAll(async () => {
  await sshd.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  writeFileSync(log, "");
  profile(":");
  kvm1 = sshTransport("kvm1", sshd.uri(), SETTINGS);
});
afterEach(async () => {
  mend();
  await kvm1.close();
});

const echo = () => kvm1.exec(["echo", "x"], { timeout: slow(10_000) });
const openSession = async () => {
  const session = await kvm1.openSession();
  session.stdout.resume();
  session.stderr.resume();
  session.closed.catch(() => {});
  return session;
};

test("a text fails in time, and is written once the profile has ended", {
  timeout: slow(30_000),
}, async () => {
  await echo();
  hang();
  for (let round = 0; round < 2; round++) {
    await expect(kvm1.putText("text")).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(LATE),
    });
  }
  await expect(kvm1.overwrite?.("/nowhere", Buffer.from("text"))).rejects.toThrow(LATE);
  expect(logins()).toBe(1);
  mend();
  const text = await kvm1.putText("text");
  expect(readFileSync(text.path, "utf8")).toBe("text");
});

test("what is killed ends although no shell comes", { timeout: slow(30_000) }, async () => {
  const session = await openSession();
  session.ref(true);
  const options = { columns: 80, rows: 24, onData: () => {} };
  const terminal = await kvm1.openTerminal?.(["tail", "-f", "/dev/null"], options);
  hang();
  session.kill();
  terminal?.kill();
  await terminal?.ended;
  await session.closed;
  await until("both have ended", () => [...processes("virsh"), ...processes("tail")].length === 0);
});

test("a connection is given up that cannot end what the one before has left", {
  timeout: slow(30_000),
}, async () => {
  await openSession();
  const lost = kvm1.exec(["sleep", "300"], { timeout: slow(60_000) });
  lost.catch(() => {});
  await until("it runs", () => processes("sleep").length === 1);
  hang();
  for (const pid of connections(sshd.pid())) process.kill(pid, "SIGKILL");
  await expect(lost).rejects.toMatchObject({ code: "outcome_unknown" });
  await expect(echo()).rejects.toThrow(LATE);
  await expect(echo()).rejects.toThrow(/within .* \(tried once; the next attempt is in \d+ s\)/);
  mend();
  await until("it is back", () => echo().then(Boolean, () => false), 10);
});

test("a connection on which nothing starts fails once, for one reason", async () => {
  hang();
  const calls = Array.from({ length: 7 }, () => openSession());
  for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
    expect(reason).toMatchObject({ code: "unreachable", message: expect.stringMatching(LATE) });
  }
  await until("it is closed", () => !kvm1.connected);
  await expect(openSession()).rejects.toThrow(
    /within .* \(tried once; the next attempt is in 1 s\)/,
  );
});

test("who waits for its turn has the longer timeout once a program has started", {
  timeout: slow(30_000),
}, async () => {
  const timeout = Math.min(TIMEOUT, 8); // the longer one is 10 s
  const other = await startSshd({ config: CONFIG }); // the first to use an sshd says how many may start at once
  kvm1 = sshTransport("kvm1", other.uri(), { ...SETTINGS, timeout, logins: 1 });
  profile(`echo >>${log}; [ $(wc -l <${log}) = 1 ] || sleep ${timeout + 1}`);
  try {
    await Promise.all([openSession(), openSession()]);
    expect(logins()).toBe(2);
  } finally {
    await other.stop();
  }
});
