/** POST /libvirt/batch/*: which commands each gives for a domain, and what its result says. */
import { describe, expect, test } from "vitest";
import remove from "../../../../functions/libvirt/batch/delete.ts";
import pause from "../../../../functions/libvirt/batch/pause.ts";
import reboot from "../../../../functions/libvirt/batch/reboot.ts";
import resume from "../../../../functions/libvirt/batch/resume.ts";
import snapshot from "../../../../functions/libvirt/batch/snapshot.ts";
import start from "../../../../functions/libvirt/batch/start.ts";
import stop from "../../../../functions/libvirt/batch/stop.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";
import { disk, hypervisor } from "../../../fixtures/storage.ts";

const domains = ["it's"];
const at = ["--domain", "it's"];

test.each([
  ["start", start, {}, ["start", ...at]],
  ["start", start, { paused: true }, ["start", ...at, "--paused"]],
  ["pause", pause, {}, ["suspend", ...at]],
  ["resume", resume, {}, ["resume", ...at]],
  ["reboot", reboot, {}, ["reboot", ...at]],
  ["reboot", reboot, { force: true }, ["reset", ...at]],
  ["stop", stop, {}, ["shutdown", ...at]],
  ["stop", stop, { force: true }, ["destroy", ...at]],
  ["stop", stop, { force: true, timeout: 5 }, ["destroy", ...at]],
] as const)("%s: its command", async (operation, call, options, command) => {
  const fake = answering(() => "");
  expect(await call({ domains, ...options }, fake)).toMatchObject({ operation, successful: 1 });
  const reads = ["pool-list"]; // start looks whether another image stands on the domain's
  expect(fake.calls.filter(([verb]) => !reads.includes(`${verb}`))).toEqual([command]);
});

test("start: what stands on what is read once for all; whose disk is a base stays off", async () => {
  const names = ["a", "b", "base", "c"];
  const source = (name: string) => disk(`file='/p/${name}'`);
  const { ctx, calls } = hypervisor({
    domains: Object.fromEntries(names.map((name) => [name, [false, source(name)]])),
    pools: { p: { "/p/base": null, "/p/over": "/p/base" } },
  });
  const { results } = await start({ domains: names }, { ...ctx, host: "h" });
  expect(results.map(({ code }) => code)).toEqual([undefined, undefined, "in_use", undefined]);
  const count = (verb: string) => calls.filter(([one]) => one === verb).length;
  expect(["pool-list", "vol-list", "dumpxml", "start"].map(count)).toEqual([1, 1, 4, 3]);
});

describe("stop", () => {
  const answers = (...states: (string | HyperError)[]) =>
    answering((verb) => (verb === "domstate" ? (states.shift() ?? "running\n\n") : ""));
  const result = async (fake: ReturnType<typeof answering>, options = {}) =>
    (await stop({ domains, ...options }, fake)).results[0];

  test("without a timeout the request is the result", async () => {
    expect(await result(answers())).toMatchObject({ success: true, state: "shutdown requested" });
  });

  test("with one, it waits until the guest is off", async () => {
    const fake = answers("running\n\n", "in shutdown\n\n", "shut off\n\n");
    expect(await result(fake, { timeout: 5 })).toMatchObject({ success: true, state: "shut off" });
    expect(fake.verbs()).toEqual(["shutdown", "domstate", "domstate", "domstate"]);
  });

  test("a transient domain is off when it is gone", async () => {
    const fake = answers("running\n\n", new HyperError("not_found", "gone"));
    expect(await result(fake, { timeout: 5 })).toMatchObject({ success: true, state: "shut off" });
  });

  test("a guest that does not obey is a failure, and is asked once", async () => {
    const fake = answers();
    expect(await result(fake, { timeout: 0.2 })).toMatchObject({
      success: false,
      code: "timed_out",
      error: "asked to shut down, but still running after 0.2 s",
    });
    expect(fake.verbs().filter((verb) => verb === "shutdown")).toEqual(["shutdown"]);
  });

  test.each([0, -1, 3601, "5"])("timeout %j is refused", async (timeout) => {
    const call = stop({ domains, timeout: timeout as number });
    await expect(call).rejects.toMatchObject({ code: "invalid_input" });
  });
});

describe("snapshot", () => {
  test("prefix and time make the name, the same for all", async () => {
    const fake = answering(() => "");
    const { results } = await snapshot({ domains: ["a", "b"] }, fake);
    const [name, other] = results.map((one) => one.snapshot);
    expect(name).toMatch(/^snapshot-\d{8}T\d{6}Z$/);
    expect(other).toBe(name);
    expect(fake.calls.filter(([verb]) => verb !== "dumpxml")).toEqual(
      ["a", "b"].map((domain) => ["snapshot-create-as", "--domain", domain, "--name", name]),
    );
  });

  test("every option", async () => {
    const fake = answering((verb) => (verb === "dumpxml" ? "<domain/>" : ""));
    const description = `two\nlines with "quotes" and it's`;
    const options = { name_prefix: "pre 'x'", description, atomic: true, disk_only: true };
    const { results } = await snapshot({ domains, ...options }, fake);
    expect(results[0]?.snapshot).toMatch(/^pre 'x'-\d{8}T\d{6}Z$/);
    const taken = fake.calls.find(([verb]) => verb === "snapshot-create-as");
    expect(taken?.slice(5)).toEqual(["--description", description, "--disk-only", "--atomic"]);
  });

  test.each([
    { name_prefix: "a/b" },
    { name_prefix: "" },
    { description: "\0" },
    { description: "x".repeat(4097) },
    { disk_only: "yes" },
  ])("%j is refused", async (options) => {
    const call = snapshot({ domains, ...options } as never);
    await expect(call).rejects.toMatchObject({ code: "invalid_input" });
  });
});

describe("delete", () => {
  const images = { "/p/base": null, "/p/mid": "/p/base", "/p/top": "/p/mid", "/p/other": "/p/top" };
  const source = (name: string) => disk(`file='/p/${name}'`);
  /** Deletes domains that stand on each other: top on mid on base. */
  async function removeChain(names: string[], pool: Record<string, string | null>, storage = true) {
    const { ctx } = hypervisor({
      domains: Object.fromEntries(
        ["base", "mid", "top", "apart"].map((name) => [name, [false, source(name)]]),
      ),
      pools: { p: { ...pool, "/p/apart": null } },
    });
    const input = { domains: names, remove_storage: storage };
    const { results, successful } = await remove(input, { ...ctx, host: "test" });
    expect(results.map(({ domain }) => domain)).toEqual(names);
    expect(successful).toBe(results.filter(({ success }) => success).length);
    return Object.fromEntries(results.map(({ domain, ...result }) => [domain, result]));
  }
  const { "/p/other": _other, ...chain } = images;

  test.each([
    [["base", "mid", "top", "apart"]],
    [["top", "mid", "base", "apart"]],
    [["mid", "apart", "base", "top"]],
    [["apart", "top", "base", "mid"]],
  ])("those that others of the call stand on go last: %j", async (names) => {
    const results = await removeChain(names, chain);
    for (const name of names)
      expect(results[name]).toMatchObject({ success: true, removed: [`/p/${name}`] });
  });

  test("a base with an overlay of none of them stays, and so do those below", async () => {
    const results = await removeChain(["base", "mid", "top", "apart"], images);
    for (const name of ["base", "mid", "top"])
      expect(results[name]).toMatchObject({ success: false, code: "in_use" });
    expect(results.apart?.success).toBe(true);
  });

  test("without their storage the overlays stay, so the base does as well", async () => {
    const results = await removeChain(
      ["base", "mid"],
      { "/p/base": null, "/p/mid": "/p/base" },
      false,
    );
    expect(results).toMatchObject({
      base: { success: false, code: "in_use", children: ["/p/mid"] },
      mid: { success: true },
    });
  });

  const inside =
    "<domainsnapshot><creationTime>1</creationTime><disks><disk snapshot='internal'/></disks></domainsnapshot>";
  test("with snapshots_only, the snapshots go, children first, and nothing else", async () => {
    const fake = answering((verb) => {
      if (verb === "snapshot-dumpxml") return inside;
      return verb === "snapshot-list" ? "root\nchild 'x'\n\n" : "";
    });
    const { results } = await remove({ domains, snapshots_only: true, remove_storage: true }, fake);
    expect(results[0]).toMatchObject({ success: true, snapshots_deleted: ["child 'x'", "root"] });
    const reads = /^snapshot-(list|current|dumpxml)$/; // whether another image stands on theirs
    expect(fake.calls.filter(([verb]) => !reads.test(`${verb}`))).toEqual([
      ["snapshot-delete", ...at, "--snapshotname", "child 'x'"],
      ["snapshot-delete", ...at, "--snapshotname", "root"],
    ]);
  });

  test("a snapshot that stays: the ones that are left are named", async () => {
    const fake = answering((verb, ...words) => {
      if (verb === "snapshot-dumpxml") return inside;
      if (verb === "snapshot-list") return "root\nchild\n\n";
      return words.at(-1) === "root" ? new HyperError("unsupported", "no") : "";
    });
    const { results } = await remove({ domains, snapshots_only: true }, fake);
    expect(results[0]).toMatchObject({
      success: false,
      code: "unsupported",
      error: "no; snapshots left: root",
    });
  });
});

test.each([
  ["start", start],
  ["stop", stop],
  ["reboot", reboot],
  ["snapshot", snapshot],
  ["delete", remove],
  ["pause", pause],
  ["resume", resume],
])("%s refuses what it does not know", async (_name, call) => {
  for (const input of [{}, { domains: [] }, { domains, forse: true }])
    await expect(call(input as never)).rejects.toMatchObject({ code: "invalid_input" });
});
