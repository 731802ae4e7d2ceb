/** Operations that make several things: what a failure removes, in which order, and what a dead server has left. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type ErrorCode, HyperError } from "../../../runtime/core/errors.ts";
import { log } from "../../../runtime/core/log.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import type { Arg } from "../../../runtime/hypervisor/text-arguments.ts";
import { type Journal, leftovers } from "../../../runtime/libvirt/journal.ts";
import type { Resource } from "../../../runtime/libvirt/resource.ts";
import { rollback, withRollback } from "../../../runtime/libvirt/rollback.ts";
import { answering } from "../../fixtures/fake.ts";

const state = mkdtempSync(join(tmpdir(), "rollback-"));
const notes = join(state, "hypersdk/work");
process.env.XDG_STATE_HOME = state;
mkdirSync(notes, { recursive: true });
afterEach(() => {
  for (const name of readdirSync(notes)) rmSync(join(notes, name));
});
afterAll(() => rmSync(state, { recursive: true }));

const VOLUME: Resource = { kind: "volume", pool: "p", name: "v" };
const DOMAIN: Resource = { kind: "domain", name: "d" };
const FILE: Resource = { kind: "file", path: "/f" };
const FOLDER: Resource = { kind: "folder", path: "/g" };
const ALL = [VOLUME, FILE, FOLDER, DOMAIN];

const missing = new HyperError("not_found", "not found");
const refused = new HyperError("permission_denied", "no");

/** A hypervisor with these things, by name; `stuck` can be seen but not removed. */
function hypervisor(there = ["v", "d", "/f", "/g"], stuck: string[] = [], look?: HyperError) {
  const removed: string[] = [];
  const take = (name: string) => {
    if (stuck.includes(name)) return refused;
    removed.push(name);
    return "";
  };
  const fake = answering((verb, ...words) => {
    const name = words.includes("v") ? "v" : "d";
    if (verb === "vol-path" || verb === "domstate")
      return look ?? (there.includes(name) ? "x\n" : missing);
    return verb === "destroy" ? "" : take(name);
  });
  const exec = async (argv: string[]) => {
    const name = argv.at(-1) ?? "";
    const bad = argv[0] === "ls" ? !there.includes(name) : take(name) instanceof HyperError;
    const stderr = argv[0] === "ls" ? `ls: ${name}: No such file or directory\n` : "rm: no\n";
    return { stdout: "", stderr: bad ? stderr : "", exitCode: bad ? 1 : 0 };
  };
  return { ctx: { ...fake, exec, host: "h", log } as unknown as Context, removed, ...fake };
}

const made = async (journal: Journal, resources: Resource[] = ALL) => {
  for (const resource of resources) await journal.track(resource, async () => "made");
};
const noteFiles = () => readdirSync(notes);
const readNote = () => JSON.parse(readFileSync(join(notes, noteFiles()[0] as string), "utf8"));

test("success leaves all resources and no note", async () => {
  const { ctx, removed } = hypervisor();
  const result = await withRollback(ctx, "clone of a to b", async (journal) => {
    for (const [i, resource] of ALL.entries()) {
      const during = journal.track(resource, async () => {
        expect(readNote().resources).toEqual(ALL.slice(0, i + 1)); // noted before it is made
        return i;
      });
      expect(await during).toBe(i);
    }
    expect(readNote()).toMatchObject({ host: "h", operation: "clone of a to b", pid: process.pid });
    return "done";
  });
  expect([result, removed, noteFiles()]).toEqual(["done", [], []]);
});

describe("a failure", () => {
  const fails = (ctx: Context, steps: (journal: Journal) => Promise<unknown>) =>
    withRollback(ctx, "x", steps).then(
      () => expect.unreachable(),
      (error: HyperError) => error,
    );

  test("removes the last resource first, throws what was thrown, and leaves no note", async () => {
    const { ctx, removed, calls } = hypervisor();
    const why = new HyperError("no_space", "full");
    const thrown = await fails(ctx, async (journal) => {
      await made(journal);
      throw why;
    });
    expect(thrown).toBe(why);
    expect(removed).toEqual(["d", "/g", "/f", "v"]);
    expect(calls.find(([verb]) => verb === "undefine")).toContain("--nvram");
    expect(noteFiles()).toEqual([]);
  });

  test("of making a resource removes what there is of it", async () => {
    const { ctx, removed } = hypervisor(["v"]);
    await fails(ctx, (journal) =>
      journal.track(VOLUME, async () => {
        throw new Error("half made");
      }),
    );
    expect(removed).toEqual(["v"]);
  });

  test.each<ErrorCode>(["already_exists", "busy", "unreachable"])(
    "%s: the resource with that name is somebody else's, and stays",
    async (code) => {
      const { ctx, removed } = hypervisor();
      const thrown = await fails(ctx, async (journal) => {
        await made(journal, [FILE]);
        await journal.track(VOLUME, async () => {
          throw new HyperError(code, "taken");
        });
      });
      expect([thrown.code, removed, noteFiles()]).toEqual([code, ["/f"], []]);
    },
  );

  test("with nothing made needs nothing", async () => {
    const { ctx, removed } = hypervisor([]);
    await fails(ctx, async (journal) => {
      await made(journal);
      throw new HyperError("cancelled", "gone");
    });
    expect([removed, noteFiles()]).toEqual([[], []]);
  });

  test("that cannot be undone names what is left, removes the rest and keeps the note", async () => {
    const { ctx, removed } = hypervisor(undefined, ["d", "/f"]);
    const thrown = await fails(ctx, async (journal) => {
      await made(journal);
      throw new HyperError("no_space", "full");
    });
    expect(removed).toEqual(["/g", "v"]);
    expect(thrown).toMatchObject({
      code: "no_space",
      message: "full; left behind: domain d (no), file /f (rm: no)",
      details: { left: ["domain d (no)", "file /f (rm: no)"] },
    });
    expect(readNote().resources).toEqual(ALL);
  });

  test.each([
    ["runs on", ["v", "d"], "full; left behind: domain d (QEMU hangs)"],
    ["was off", ["v"], "full"],
  ])("a domain that cannot be switched off, and %s", async (_what, after, message) => {
    const { ctx } = hypervisor();
    const before = ctx.virsh.settled;
    let isUndefined = false;
    ctx.virsh.settled = async (commands) => {
      const [verb] = commands[0] ?? [];
      if (verb === "destroy") return [new HyperError("virsh_failed", "QEMU hangs")];
      if (verb === "domstate" && isUndefined) return [after.includes("d") ? "running\n" : missing];
      return before(commands);
    };
    const virsh = Object.assign(async (words: Arg[]) => {
      isUndefined ||= words[0] === "undefine";
      return "";
    }, ctx.virsh);
    const thrown = await fails({ ...ctx, virsh }, async (journal) => {
      await made(journal, [DOMAIN]);
      throw new HyperError("no_space", "full");
    });
    expect(thrown).toMatchObject({ code: "no_space", message });
  });

  test("of another kind is told as internal, its text to the log alone", async () => {
    const { ctx } = hypervisor(undefined, ["d"]);
    const thrown = await fails(ctx, async (journal) => {
      await made(journal, [DOMAIN]);
      throw new TypeError("secret");
    });
    expect(thrown).toMatchObject({
      code: "internal",
      message: "internal error; left behind: domain d (no)",
    });
  });
});

describe("a folder for others", () => {
  const PARENT: Resource = { kind: "parent", path: "/e" };
  const having = (empty: boolean) => {
    const ran: string[][] = [];
    const exec = async (argv: string[]) => {
      ran.push(argv);
      return { stdout: argv[1] === "-A" && !empty ? "mine\n" : "", stderr: "", exitCode: 0 };
    };
    return { ctx: { ...answering(() => ""), exec, host: "h", log } as unknown as Context, ran };
  };

  test.each([
    [true, [["sh", "-c", expect.stringContaining('rmdir -- "$1"'), "sh", "--", "/e"]]],
    [false, []],
  ])("empty (%s): it is removed only then", async (empty, removed) => {
    const { ctx, ran } = having(empty);
    const call = withRollback(ctx, "x", async (journal) => {
      await made(journal, [PARENT]);
      throw missing;
    });
    await expect(call).rejects.toBe(missing);
    expect(ran.filter(([program]) => program !== "ls")).toEqual(removed);
    expect(noteFiles()).toEqual([]);
  });
});

describe("rollback of one step", () => {
  const full = new HyperError("no_space", "full");

  test("undone: the cause alone", async () => {
    const done: string[] = [];
    await expect(rollback(full, "the volume is left", async () => done.push("x"))).rejects.toBe(
      full,
    );
    expect(done).toEqual(["x"]);
  });

  test.each([
    [full, "no_space", "full; the volume is left: busy"],
    [new TypeError("secret"), "internal", "internal error; the volume is left: busy"],
  ])("not undone: what is left, and why", async (cause, code, message) => {
    const steps = async () => {
      throw new HyperError("in_use", "busy");
    };
    await expect(rollback(cause, "the volume is left", steps)).rejects.toMatchObject({
      code,
      message,
      cause,
    });
  });
});

describe("leftovers", () => {
  const dead = spawnSync("true").pid;
  const self = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)?.split(" ")[19] ?? "";
  const put = (name: string, change: object = {}) => {
    const note = {
      host: "h",
      operation: "clone of a to b",
      started: "2026-01-01T00:00:00Z",
      pid: dead,
      processStartTime: "1",
      resources: ALL,
    };
    writeFileSync(join(notes, `${name}.json`), JSON.stringify({ ...note, ...change }));
  };
  const everything = ["volume v of pool p", "file /f", "folder /g", "domain d"];

  test("of a dead process are named; another host's are its own", async () => {
    put("a");
    put("b", { host: "other" });
    expect(await leftovers(hypervisor().ctx)).toEqual([
      {
        host: "h",
        operation: "clone of a to b",
        started: "2026-01-01T00:00:00Z",
        left: everything,
      },
    ]);
    expect(noteFiles().length).toBe(2);
  });

  test("of a living process are at work; of one that has its ID by now they are leftovers", async () => {
    put("a", { pid: process.pid, processStartTime: self });
    expect(await leftovers(hypervisor().ctx)).toEqual([]);
    put("a", { pid: process.pid, processStartTime: `${Number(self) - 1}` });
    expect(await leftovers(hypervisor().ctx)).toMatchObject([{ left: everything }]);
  });

  test("that somebody removed are forgotten, with the note of the last", async () => {
    put("a");
    expect(await leftovers(hypervisor(["d"]).ctx)).toMatchObject([{ left: ["domain d"] }]);
    expect(await leftovers(hypervisor([]).ctx)).toEqual([]);
    expect(noteFiles()).toEqual([]);
  });

  test("a folder for others is one while it is empty", async () => {
    for (const [said, left] of [
      ["", [{ left: ["folder /e"] }]],
      ["mine\n", []],
    ] as const) {
      put("a", { resources: [{ kind: "parent", path: "/e" }] });
      const exec = async () => ({ stdout: said, stderr: "", exitCode: 0 });
      const ctx = { ...answering(() => ""), exec, host: "h", log } as unknown as Context;
      expect(await leftovers(ctx)).toMatchObject(left);
    }
    expect(noteFiles()).toEqual([]);
  });

  test("that cannot be looked at are named", async () => {
    put("a");
    const look = new HyperError("not_active", "pool is not active");
    const found = await leftovers(hypervisor([], [], look).ctx);
    expect(found).toMatchObject([{ left: ["volume v of pool p", "domain d"] }]);
  });

  test("a note that cannot be read hides no other", async () => {
    for (const [i, text] of ["", "{", "null", "[]", '{"host":"h"}'].entries())
      writeFileSync(join(notes, `${i}.json`), text);
    writeFileSync(join(notes, "x.json.new"), "{");
    put("z");
    expect(await leftovers(hypervisor().ctx)).toMatchObject([{ left: everything }]);
  });

  test("no folder, no leftovers", async () => {
    rmSync(notes, { recursive: true });
    expect(await leftovers(hypervisor().ctx)).toEqual([]);
    mkdirSync(notes);
  });
});
