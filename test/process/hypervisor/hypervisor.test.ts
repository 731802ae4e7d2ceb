/** Lanes of sessions: what is repeated and what never is, timeouts, cancelling, files and the end. */
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test, vi } from "vitest";
import type { Config } from "../../../runtime/core/config.ts";
import type { HyperError } from "../../../runtime/core/errors.ts";
import { type CallOptions, Hypervisor } from "../../../runtime/hypervisor/hypervisor.ts";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import { unwrap } from "../../../runtime/hypervisor/outcomes.ts";
import type { Arg } from "../../../runtime/hypervisor/text-arguments.ts";
import type { Transport } from "../../../runtime/hypervisor/transport.ts";
import { fakeVirsh, until } from "../../fixtures/fake.ts";

const fake = fakeVirsh();
const all: Hypervisor[] = [];
interface Given extends Partial<Config["virsh"]> {
  uri?: string;
  transport?: Transport;
}
function hypervisor({
  uri = "qemu:///fake",
  transport = localTransport(uri),
  ...given
}: Given = {}) {
  const settings = { timeout: 5, sessions: 2, queue: 100, idle: 60, ...given };
  const made = new Hypervisor("kvm1", uri, settings, transport);
  all.push(made);
  return made;
}
const kvm1 = hypervisor();
const one = async (command: Arg[], options?: CallOptions, on = kvm1) =>
  unwrap((await on.virsh([command], options))[0]);
const gone = (processes: number[]) =>
  until(() => !fake.processes().some((pid) => processes.includes(pid)), "they have ended");

let names = 0;
/** A word that marks one test's commands in the journal. */
const tag = () => `tag${++names}`;

const CUT =
  "Disconnected from qemu:///system due to end of file\nerror: failed to get domain 'x'\nerror: Cannot recv data: Connection reset by peer";
const LOOKUP_CUT =
  "Disconnected from qemu:///system due to end of file\nerror: failed to get domain 'x'";
const ABSENT =
  "Failed to reconnect to the hypervisor\nerror: Failed to connect socket to '/run/x': Connection refused";

const RESTARTED =
  "Disconnected from qemu:///system due to end of file\nerror: Reconnected to the hypervisor";
const afterRestart = (...messages: string[]) => [RESTARTED, ...messages].join("\nerror: ");

afterAll(async () => {
  await Promise.all(all.map((each) => each.close()));
  await until(() => fake.processes().length === 0, "no process is left").finally(fake.remove);
});

describe("the first call that fails after a restart of libvirtd", () => {
  const reason = "Domain not found: no domain with matching name 'x'";
  test.each<[string, string[], { code: string; message: string }]>([
    [
      "a change of what is not there",
      ["start", afterRestart("failed to get domain 'x'", reason)],
      { code: "not_found", message: reason },
    ],
    [
      "a change that is refused",
      ["start", afterRestart("Domain is already active")],
      { code: "already_active", message: "Domain is already active" },
    ],
    [
      "a read of what is not there",
      ["dominfo", `Reconnected to the hypervisor\nerror: ${reason}`],
      { code: "not_found", message: reason },
    ],
  ])("%s says why, and is not repeated", async (_what, [verb = "", text = ""], expected) => {
    const mark = tag();
    const error = await one([verb, mark, "error", text]).catch((error: HyperError) => error);
    expect(error).toMatchObject(expected);
    expect(fake.count(mark)).toBe(1);
  });

  test("a change that loses the new connection, too, has an unknown outcome", async () => {
    const mark = tag();
    const text = afterRestart(CUT);
    const error = await one(["start", mark, "error", text]).catch((error: HyperError) => error);
    expect(error).toMatchObject({ code: "outcome_unknown" });
    expect(fake.count(mark)).toBe(1);
  });
});

describe("a connection or session that is lost", () => {
  /** What happens the first time, what comes back, and how often the command was begun. */
  test.each<[string, string[], { answer?: string; code?: string; begun: number }]>([
    ["a read whose session dies", ["dominfo", "die"], { answer: "ok", begun: 2 }],
    ["a read before it begins", ["dominfo", "die-unbegun"], { answer: "ok", begun: 1 }],
    ["a read that is cut", ["dominfo", "error", CUT], { answer: "ok", begun: 2 }],
    ["a lookup that is cut", ["dominfo", "error", LOOKUP_CUT], { answer: "ok", begun: 2 }],
    ["a read without a daemon", ["dominfo", "error", ABSENT], { answer: "ok", begun: 2 }],
    ["a read with half an answer", ["dominfo", "drop"], { answer: "ok", begun: 2 }],
    ["a change whose session dies", ["net-start", "die"], { code: "outcome_unknown", begun: 1 }],
    ["a change before it begins", ["net-start", "die-unbegun"], { answer: "ok", begun: 1 }],
    ["a change that is cut", ["net-start", "error", CUT], { code: "outcome_unknown", begun: 1 }],
    [
      "a change whose lookup is cut",
      ["net-start", "error", LOOKUP_CUT],
      { code: "outcome_unknown", begun: 1 },
    ],
    // virsh had no connection to send it over, so it provably did not happen
    ["a change without a daemon", ["net-start", "error", ABSENT], { answer: "ok", begun: 2 }],
    ["a change with half an answer", ["net-start", "drop"], { code: "outcome_unknown", begun: 1 }],
    ["a guest-agent call", ["guestinfo", "die"], { code: "outcome_unknown", begun: 1 }],
  ])("%s", async (_what, [verb = "", action = "", ...words], { answer, code, begun }) => {
    const mark = tag();
    const command = [verb, mark, "once", mark, action, ...words, "print", "ok"];
    const outcome = await one(command).catch((error: HyperError) => error.code);
    // what is printed beside an error is no answer
    expect(outcome).toBe(answer ?? code);
    expect(fake.count(mark)).toBe(begun);
  });

  test.each<[string, string[], string, number]>([
    ["reads end as unreachable after two attempts", ["dominfo", "die"], "unreachable", 2],
    ["a lookup that is cut is not not_found", ["dominfo", "error", LOOKUP_CUT], "unreachable", 2],
    ["changes that never begin too", ["net-start", "die-unbegun"], "unreachable", 0],
    ["changes without a daemon too", ["net-start", "error", ABSENT], "unreachable", 2],
  ])("for good: %s", async (_what, [verb = "", ...words], code, begun) => {
    const mark = tag();
    await expect(one([verb, mark, ...words])).rejects.toMatchObject({ code });
    expect(fake.count(mark)).toBe(begun);
  });

  test("the message of an unknown outcome says what to do", async () => {
    await expect(one(["net-start", "die"])).rejects.toThrow(
      /lost while "virsh net-start" ran. It was not repeated; look at/,
    );
  });

  test("a batch of changes is not repeated when one of them had begun", async () => {
    const mark = tag();
    const batch = [
      ["net-define", mark],
      ["net-start", mark, "die-unbegun"],
    ];
    await expect(kvm1.virsh(batch)).rejects.toMatchObject({ code: "outcome_unknown" });
    expect(fake.count(mark)).toBe(1);
    const [defined, started] = await kvm1.virsh([
      ["net-define", mark, "print", "ok"],
      ["net-start", mark, "error", ABSENT],
    ]);
    expect(defined).toBe("ok");
    expect(started).toMatchObject({ code: "unreachable" });
    expect(fake.count(mark)).toBe(3);
  });

  const lost = ["error", "Disconnected from qemu:///system due to end of file"];
  const back = ["error", "Reconnected to the hypervisor"];

  test("a reconnection that went well is no error", async () => {
    expect(await one(["dominfo", ...back, "print", "ok"])).toBe("ok");
    expect(await one(["net-start", ...lost, ...back, "print", "ok"])).toBe("ok");
  });

  test("a read whose connection broke on the way is made again, though virsh says nothing of it", async () => {
    const [alone, first, second] = [tag(), tag(), tag()];
    await expect(one(["net-info", alone, ...lost, "print", "half"])).rejects.toMatchObject({
      code: "unreachable",
    });
    expect(fake.count(alone)).toBe(2);
    const both = kvm1.virsh([
      ["net-list", first, "print", "half"],
      ["net-list", second, ...back],
    ]);
    await expect(both).rejects.toMatchObject({ code: "unreachable" });
    // twice in one frame and, since virsh had something to say, twice each by itself
    expect([fake.count(first), fake.count(second)]).toEqual([4, 4]);
  });

  test("a session whose connection broke is not used again", async () => {
    const [before, cut, after] = [tag(), tag(), tag()];
    await one(["guestvcpus", before]);
    await one(["guestvcpus", cut, "error", CUT]).catch(() => {});
    await one(["guestvcpus", after]);
    expect(fake.ran(cut)).toEqual(fake.ran(before));
    expect(fake.ran(after)).not.toEqual(fake.ran(cut));
  });
});

describe("what virsh says", () => {
  test("an error in a batch is its command's own", async () => {
    const outcomes = await kvm1.virsh([
      ["dominfo", "print", "a"],
      ["dominfo", "error", "failed to get domain 'Disconnected from'"],
      ["nonsense"],
      ["dominfo", "print", "d"],
    ]);
    expect(outcomes).toMatchObject(["a", { code: "not_found" }, { code: "unsupported" }, "d"]);
  });

  test("no commands need no session", async () => {
    const before = fake.started();
    expect(await hypervisor().virsh([])).toEqual([]);
    expect(fake.started()).toBe(before);
  });

  test.each(["console", "quit", "net-edit", "event", "cd", "Bad", "a;b", ""])(
    "%j never comes near a session",
    async (verb) => {
      const before = fake.started();
      await expect(one([verb], {}, hypervisor())).rejects.toMatchObject({ code: "internal" });
      expect(fake.started()).toBe(before);
    },
  );

  test("a virsh that is not there is said", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    await expect(one(["list"], {}, hypervisor())).rejects.toMatchObject({
      code: "unreachable",
      message: "virsh is not installed on this machine",
    });
    vi.unstubAllEnvs();
  });
});

describe("a command that hangs", () => {
  test("times out, ends its process, and holds up no other call in any lane", async () => {
    const kvm2 = hypervisor({ timeout: 0.8 });
    const verbs = ["dominfo", "net-start", "guestinfo"];
    await Promise.all(verbs.map((verb) => one([verb], {}, kvm2)));
    const mark = tag();
    let over = false;
    const stuck = verbs.slice(0, 2).map((verb) => one([verb, mark, "hang"], {}, kvm2));
    const ended = Promise.allSettled(stuck).finally(() => {
      over = true;
    });
    for (let i = 0; i < 5; i++) {
      const others = ["list", "net-destroy", "guestinfo"].map((verb) =>
        one([verb, "print", "ok"], { timeout: 5000 }, kvm2),
      );
      expect(await Promise.all(others)).toEqual(["ok", "ok", "ok"]);
    }
    expect(over).toBe(false);
    const [read, change] = (await ended) as PromiseRejectedResult[];
    const hint =
      "; it may still be carried out, so look at the present state before you call again";
    expect(read?.reason).toMatchObject({
      code: "timed_out",
      message: "virsh dominfo on kvm1: no answer within 0.8 s",
    });
    expect(change?.reason).toMatchObject({
      code: "timed_out",
      message: `virsh net-start on kvm1: no answer within 0.8 s${hint}`,
    });
    expect(fake.ran(mark)).toHaveLength(2);
    await gone(fake.ran(mark));
  });

  test("is not repeated", async () => {
    const mark = tag();
    await expect(one(["dominfo", mark, "hang"], { timeout: 300 })).rejects.toThrow("0.3 s");
    expect(fake.count(mark)).toBe(1);
  });

  test("those who wait for its session are served once it is gone", async () => {
    const kvm2 = hypervisor({ sessions: 1 });
    const first = one(["list", "hang"], { timeout: 300 }, kvm2).catch((error) => error.code);
    const others = Array.from({ length: 5 }, (_, i) => one(["list", "print", `${i}`], {}, kvm2));
    expect(await Promise.all([first, ...others])).toEqual(["timed_out", "0", "1", "2", "3", "4"]);
  });
});

describe("a caller that goes away", () => {
  test("ends a read and its process", async () => {
    const kvm2 = hypervisor();
    await one(["list"], {}, kvm2);
    const caller = new AbortController();
    const [mark, child] = [tag(), tag()];
    const read = one(["dominfo", mark, "child", child, "hang"], { signal: caller.signal }, kvm2);
    read.catch(() => {});
    await until(() => fake.ran(child).length === 2, "both run"); // the command and its child
    caller.abort();
    await expect(read).rejects.toMatchObject({ code: "cancelled" });
    await gone(fake.ran(child));
    expect(fake.count(mark)).toBe(1);
  });

  test("does not end a change that has begun", async () => {
    const caller = new AbortController();
    const mark = tag();
    const change = one(["net-start", mark, "sleep", "150", "print", "done"], {
      signal: caller.signal,
    });
    await until(() => fake.count(mark) === 1);
    caller.abort();
    expect(await change).toBe("done");
  });

  test.each(["dominfo", "net-start"])("%s is not begun after that", async (verb) => {
    const mark = tag();
    await expect(one([verb, mark], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "cancelled",
    });
    const kvm2 = hypervisor({ sessions: 1 });
    const caller = new AbortController();
    const first = one([verb, "sleep", "300"], {}, kvm2);
    const waiting = one([verb, mark], { signal: caller.signal }, kvm2).catch(({ code }) => code);
    await sleep(50);
    caller.abort();
    expect(await waiting).toBe("cancelled");
    await first;
    expect(fake.count(mark)).toBe(0);
  });

  test.each(["dominfo", "net-start"])("%s is not begun either while virsh starts", async (verb) => {
    const caller = new AbortController();
    const local = localTransport("qemu:///fake");
    const transport: Transport = {
      ...local,
      async openSession() {
        caller.abort();
        return local.openSession();
      },
    };
    const mark = tag();
    const call = one([verb, mark], { signal: caller.signal }, hypervisor({ transport }));
    await expect(call).rejects.toMatchObject({ code: "cancelled" });
    expect(fake.count(mark)).toBe(0);
  });
});

describe("text handed over as a file", () => {
  const text = `<name>it's "x"</name>\n${"ü".repeat(100_000)}\n`;

  test.each(["session", "long"])("can be read by a command, and leaves no file: %s", async (by) => {
    const command = ["net-define", "cat", { text }, "print", "|", "cat", { text: "second" }];
    const open = () => readdirSync("/proc/self/fd").length;
    await one(["net-define"]);
    const before = open();
    const printed = await (by === "long" ? kvm1.oneShot(command, { timeout: 5000 }) : one(command));
    expect(printed).toBe(`${text}|second`);
    expect(readdirSync(fake.tmp)).toEqual([]);
    await until(() => open() <= before, "all files are closed");
  });

  test("a failed command leaves none either", async () => {
    const before = readdirSync("/proc/self/fd").length;
    for (let i = 0; i < 20; i++) await one(["net-define", { text }, "error", "no"]).catch(() => {});
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(before + 10);
    expect(readdirSync(fake.tmp)).toEqual([]);
  });
});

describe("a process of its own", () => {
  test("answers what it printed", async () => {
    expect(await kvm1.oneShot(["vol-clone", "print", "a\n"], { timeout: 5000 })).toBe("a\n");
  });

  test("its exit code tells of failure, and its words of what kind", async () => {
    const call = kvm1.oneShot(
      ["vol-clone", "error", "failed to get vol 'x'\nerror: Storage volume not found: no"],
      { timeout: 5000 },
    );
    await expect(call).rejects.toMatchObject({
      code: "not_found",
      message: "Storage volume not found: no",
    });
  });

  test.each([
    ["vol-create-from", "outcome_unknown"],
    ["vol-path", "unreachable"],
  ])("%s, whose connection to libvirt is lost: %s", async (verb, code) => {
    const lost = "Failed to do it\nerror: End of file while reading data: Input/output error";
    const words = ["error", `Disconnected from qemu:///system due to end of file\nerror: ${lost}`];
    const call = kvm1.oneShot([verb, ...words], { timeout: 5000 });
    await expect(call).rejects.toMatchObject({ code });
  });

  test("one that finds no libvirt has not begun", async () => {
    const words =
      "failed to connect to the hypervisor\nerror: Failed to connect socket to '/x': No";
    const call = kvm1.oneShot(["vol-create-from", "error", words], { timeout: 5000 });
    await expect(call).rejects.toMatchObject({ code: "unreachable" });
  });

  test.each(["timed_out", "cancelled"])("ends with all it started when %s", async (code) => {
    const caller = new AbortController();
    const [mark, child] = [tag(), tag()];
    const options = { timeout: code === "timed_out" ? 800 : 5000, signal: caller.signal };
    const call = kvm1.oneShot(["vol-wipe", mark, "child", child, "hang"], options);
    call.catch(() => {});
    await until(() => fake.ran(child).length === 2, "both run");
    if (code === "cancelled") caller.abort();
    await expect(call).rejects.toMatchObject({ code });
    await gone(fake.ran(child));
    expect(fake.count(mark)).toBe(1);
  });
});

describe("close", () => {
  test("leaves no process, idle or at work, and starts none for what it cut off", async () => {
    const kvm2 = hypervisor();
    const [idle, mark] = [tag(), tag()];
    const verbs = ["list", "net-start", "guestinfo"];
    await Promise.all(
      verbs.flatMap((verb) => [one([verb, idle], {}, kvm2), one([verb], {}, kvm2)]),
    );
    const calls = verbs.map((verb) => one([verb, mark, "hang"], {}, kvm2).catch(() => {}));
    await until(() => fake.count(mark) === 3);
    const started = fake.started();
    await kvm2.close();
    await gone([...fake.ran(idle), ...fake.ran(mark)]);
    await sleep(100);
    expect(fake.started()).toBe(started);
    await Promise.all(calls);
    expect(fake.count(mark)).toBe(3);
  });
});

test("a session that is being opened when all is closed does not stay", async () => {
  const local = localTransport("qemu:///fake");
  const closing: Promise<void>[] = [];
  const transport: Transport = {
    ...local,
    openSession() {
      const opening = local.openSession();
      closing.push(kvm2.close());
      return opening;
    },
  };
  const kvm2 = hypervisor({ transport });
  const mark = tag();
  const call = one(["net-start", mark, "hang"], { timeout: 2000 }, kvm2);
  await expect(call).rejects.toMatchObject({ code: "cancelled" });
  await Promise.all(closing);
  expect(closing).toHaveLength(1);
  expect(fake.count(mark)).toBe(0);
});

describe("the test driver", () => {
  test("has one process for all lanes and for what is long, as its state lives there", async () => {
    const driver = hypervisor({ uri: "test:///default", idle: 0.001 });
    const before = fake.started();
    const verbs = ["list", "net-start", "guestinfo", "list", "dominfo", "net-destroy"];
    await Promise.all(verbs.map((verb) => one([verb], {}, driver)));
    await sleep(20);
    expect(await driver.oneShot(["vol-clone", "print", "ok"], { timeout: 5000 })).toBe("ok");
    expect(fake.started()).toBe(before + 1);
  });

  test("a caller that goes away does not cost it that state", async () => {
    const driver = hypervisor({ uri: "test:///default" });
    const [before, caller, mark] = [fake.started(), new AbortController(), tag()];
    const words = ["list", mark, "sleep", "100", "print", "ok"];
    const call = one(words, { signal: caller.signal }, driver);
    await until(() => fake.count(mark) === 1);
    caller.abort();
    expect(await call).toBe("ok");
    await one(["list"], {}, driver);
    expect(fake.started()).toBe(before + 1);
  });
});
