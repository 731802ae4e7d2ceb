/** One warm session: what a command wrote is handed back exactly, and an end is told for what it is. */
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import { Session, SessionLost } from "../../../runtime/hypervisor/session.ts";
import type { Reply } from "../../../runtime/hypervisor/session-frames.ts";
import { commandLine } from "../../../runtime/hypervisor/virsh-quote.ts";
import { fakeVirsh, until } from "../../fixtures/fake.ts";

const fake = fakeVirsh();
const transport = localTransport("qemu:///fake");
const open = async () => new Session(await transport.openSession());
const shared = open();
/** The newline that ends a marker on stderr stands before what comes next, and means nothing. */
async function run(...commands: string[][]): Promise<Reply[]> {
  const replies = await (await shared).run(commands.map(commandLine), 5000);
  return replies.map((reply) => ({ ...reply, stderr: reply.stderr.replace(/^\n/, "") }));
}
const printed = (stdout: string): Reply => ({ ran: true, stdout, stderr: "" });

/** Run a command on a session of its own that is lost by it. */
async function lost(commands: string[][], timeout = 5000, signal?: AbortSignal) {
  const session = await open();
  await session.run([commandLine(["list"])], 5000); // it has come up
  const error = await session.run(commands.map(commandLine), timeout, signal).catch((e) => e);
  expect(error).toBeInstanceOf(SessionLost);
  expect(session.alive).toBe(false);
  const { reason, started, message } = error as SessionLost;
  return { session, reason, started, message };
}

afterAll(async () => {
  await transport.close();
  await until(() => fake.processes().length === 0, "no process is left").finally(fake.remove);
});

describe("framing", () => {
  test.each([
    ["nothing", ""],
    ["no newline", "one"],
    ["a trailing newline", "one\n"],
    ["only newlines", "\n\n\n"],
    ["a prompt and the echo of a frame", "virsh # echo 'abcdefgh'1B;list;echo abcdefgh1E\n"],
    ["markers of no session", "abcdefgh1Babcdefgh1Eabcdefgh1F"],
    ["what looks like an error", "error: no\nerror: "],
    ["bells and carriage returns", "\r\x07a\r\n\x07"],
    ["UTF-8", "ü漢🙂\n"],
  ])("%s on stdout is exact", async (_what, text) => {
    expect(await run(["list", "print", text])).toEqual([printed(text)]);
  });

  test("any text on stdout is exact", async () => {
    const text = fc.string({ unit: "grapheme", maxLength: 80 }).map((s) => s.replaceAll("\0", ""));
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 8 }), async (texts) => {
        const replies = await run(...texts.map((one) => ["list", "print", one]));
        expect(replies).toEqual(texts.map(printed));
      }),
    );
  });

  test("the markers of the call before are text like any other", async () => {
    await run(["list"]);
    const [reply] = await run(["list", "print", "<", "markers", "print", ">"]);
    expect(reply?.stdout).toMatch(/^<\w{8}\d+B\w{8}\d+E\w{8}\d+F>$/);
  });

  test("1 MB comes back whole", async () => {
    expect(await run(["list", "repeat", "100000", "0123456789"])).toEqual([
      printed("0123456789".repeat(100_000)),
    ]);
  });

  test("each command of a batch has its own output and errors", async () => {
    const replies = await run(
      ["list", "print", "a\n"],
      ["list", "print", "b", "error", "failed to get domain 'x'", "error", "no\nsuch"],
      ["list", "stderr", "\x07half a line"],
      ["list", "print", "d"],
    );
    expect(replies).toEqual([
      printed("a\n"),
      {
        ran: true,
        stdout: "b",
        stderr: "error: failed to get domain 'x'\nerror: no\nsuch\n",
      },
      { ran: true, stdout: "", stderr: "half a line" },
      printed("d"),
    ]);
  });

  test("a line that virsh refuses did not run, and those beside it did", async () => {
    const replies = await run(["list", "print", "a"], ["nonsense"], ["list", "print", "c"]);
    expect(replies).toEqual([
      printed("a"),
      { ran: false, stdout: "", stderr: "error: unknown command: 'nonsense'\n" },
      printed("c"),
    ]);
  });

  test("a command alone may be refused, complain or be silent, and the next is not mixed up with it", async () => {
    const refused = "error: unknown command: 'nonsense'\n";
    for (let round = 0; round < 20; round++) {
      expect(await run(["nonsense"])).toEqual([{ ran: false, stdout: "", stderr: refused }]);
      expect(await run(["list", "print", "a"])).toEqual([printed("a")]);
      const complaint = await run([
        "list",
        "print",
        "b",
        "error",
        "no",
        "sleep",
        "2",
        "print",
        "c",
      ]);
      expect(complaint).toEqual([{ ran: true, stdout: "bc", stderr: "error: no\n" }]);
    }
  });

  test("a notice between two calls belongs to neither", async () => {
    await run(["list", "later", "10", "error: Disconnected\n"]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await run(["list", "print", "b"])).toEqual([printed("b")]);
  });

  test("a session runs one call at a time", async () => {
    const first = run(["list", "sleep", "50", "print", "a"]);
    await expect(run(["list", "print", "b"])).rejects.toThrow("one call at a time");
    expect(await first).toEqual([printed("a")]);
  });
});

describe("the end of a session", () => {
  test("a connection that is lost on the way: a command may have begun, whatever came back", async () => {
    const end = Promise.withResolvers<string>();
    const streams = {
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
    };
    const session = new Session({ ...streams, closed: end.promise, kill() {}, ref() {} });
    const call = session.run(["net-start x"], 5000);
    end.reject(new Error("the SSH connection was lost"));
    const told = { reason: "ended", started: true, message: "the SSH connection was lost" };
    await expect(call).rejects.toMatchObject(told);
    await expect(session.run(["list"], 5000)).rejects.toMatchObject({ started: false });
  });

  test("a timeout loses it and ends virsh and what that started", async () => {
    const { session, ...told } = await lost([["list", "child", "both", "hang"]], 300);
    expect(told).toEqual({
      reason: "timeout",
      started: true,
      message: "no answer within 0.3 s",
    });
    const both = fake.ran("both");
    expect(both).toHaveLength(2);
    await until(() => !fake.processes().some((pid) => both.includes(pid)), "both have ended");
    await expect(session.run(["list"], 1000)).rejects.toMatchObject({ started: false });
  });

  test("an abort loses it", async () => {
    const caller = new AbortController();
    until(() => fake.count("abandoned") === 1).then(() => caller.abort());
    const told = await lost([["list", "abandoned", "hang"]], 5000, caller.signal);
    expect(told).toMatchObject({ reason: "aborted", started: true });
  });

  test("a death before the begin marker: it provably did not start", async () => {
    const told = await lost([["net-start", "die-unbegun"]]);
    expect(told).toMatchObject({
      reason: "ended",
      started: false,
      message: expect.stringMatching(/exit 1/),
    });
  });

  test.each([
    ["in the command", [["net-start", "print", "half", "die"]]],
    ["before the second of a batch", [["net-start"], ["net-start", "die-unbegun"]]],
  ])("a death %s: it may have started", async (_when, commands) => {
    expect(await lost(commands)).toMatchObject({ reason: "ended", started: true });
  });

  test("an answer without its end marker is no answer", async () => {
    const told = await lost([["list", "print", "half", "drop"]]);
    expect(told).toMatchObject({ reason: "ended", started: true, message: "unexpected bytes" });
  });

  test("a session that died while idle says so and starts nothing", async () => {
    const session = await open();
    await session.run([commandLine(["list", "later", "1", ""])], 5000);
    session.kill();
    expect(session.alive).toBe(false);
    const told = session.run([commandLine(["list", "print", "idle-death"])], 5000);
    await expect(told).rejects.toMatchObject({ reason: "ended", started: false });
    expect(fake.count("idle-death")).toBe(0);
  });
});
