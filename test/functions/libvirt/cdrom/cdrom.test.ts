/** POST /libvirt/cdrom/insert and eject: bad input, which drive is meant, and what a failure takes back. */
import { describe, expect, test } from "vitest";
import eject from "../../../../functions/libvirt/cdrom/eject.ts";
import insert from "../../../../functions/libvirt/cdrom/insert.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

const UUID = "11111111-1111-4111-8111-111111111111";

interface Domain {
  state?: string;
  persistent?: string;
  /** Drives by target, with their media. */
  drives?: Record<string, string | undefined>;
  fails?: Record<string, HyperError>;
  opens?: boolean;
}

const driveXml = (target: string, medium?: string) =>
  `<disk type='file' device='cdrom'><driver name='qemu' type='raw' cache='none'/>${medium ? `<source file='${medium}'/>` : ""}<backingStore/><target dev='${target}' bus='sata'/><readonly/><address type='drive'/></disk>`;

function domain({ state = "shut off", persistent = "yes", drives = {}, fails = {} }: Domain = {}) {
  const texts = () =>
    Object.entries(drives)
      .map(([target, medium]) => driveXml(target, medium))
      .join("");
  const now: Record<string, string> = { "--live": texts(), "--config": texts() };
  const fake = answering((verb, ...words) => {
    const scope = words.find((word) => word === "--live" || word === "--config") ?? "";
    const failure = fails[`${verb} ${scope}`];
    if (failure) return failure;
    if (verb === "list") return `${UUID} 7\n`;
    if (verb === "dominfo")
      return `Name:           vm\nUUID:           ${UUID}\nState:          ${state}\nPersistent:     ${persistent}\n`;
    if (verb === "dumpxml")
      return `<domain><name>vm</name><os><type arch='x86_64'/></os><devices><disk><target dev='vda'/></disk>${now[words.includes("--inactive") ? "--config" : "--live"]}</devices></domain>`;
    if (verb === "update-device") {
      const target = `${words[3]}`.match(/target dev='(\w+)'/)?.[1];
      now[scope] = `${now[scope]}`.replace(/<disk.*?<\/disk>/gs, (text) =>
        text.includes(`dev='${target}'`) ? `${words[3]}` : text,
      );
    }
    return "";
  });
  return fake;
}
const changes = (fake: ReturnType<typeof domain>) =>
  fake.calls.filter(([verb]) => /-device$/.test(`${verb}`));
const scopes = (fake: ReturnType<typeof domain>) =>
  changes(fake).map((words) => words.slice(5).join(" "));

test.each<[string, object, RegExp]>([
  ["no medium", {}, /^exactly one of volume and path/],
  ["two media", { volume: "a", path: "/srv/a" }, /^exactly one of volume and path/],
  ["a relative path", { path: "a.iso" }, /^path: must be an absolute path/],
  ["a path as a volume", { volume: "/srv/a" }, /^volume: /],
  ["a bad pool", { volume: "a", pool: "" }, /^pool: /],
  ["a bad target", { volume: "a", target: "sd1" }, /^target: /],
  ["force as text", { volume: "a", force: "yes" }, /^force: /],
  ["an unknown field", { volume: "a", eject: true }, /unknown key "eject"/],
])("insert, bad input: %s", async (_what, input, message) => {
  const fake = domain({ drives: { sda: undefined } });
  const refused = insert({ name: "vm", ...input } as Parameters<typeof insert>[0], fake);
  await expect(refused).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
  expect(fake.calls).toEqual([]);
});

test.each<[string, object, RegExp]>([
  ["a bad name", { name: "-x" }, /^name: /],
  ["a bad target", { target: "a b" }, /^target: /],
  ["a medium", { volume: "a" }, /unknown key "volume"/],
  ["force as text", { force: "yes" }, /^force: /],
])("eject, bad input: %s", async (_what, input, message) => {
  const fake = domain({ drives: { sda: "/a.iso" } });
  const refused = eject({ name: "vm", ...input } as Parameters<typeof eject>[0], fake);
  await expect(refused).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
  expect(fake.calls).toEqual([]);
});

describe("eject", () => {
  test.each<[string, Domain, string[]]>([
    ["running", { state: "running" }, ["--live", "--config"]],
    ["transient", { state: "running", persistent: "no" }, ["--live"]],
    ["off", {}, ["--config"]],
  ])("%s", async (_what, made, flags) => {
    const fake = domain({ ...made, drives: { sda: "/a.iso", sdb: undefined } });
    expect(await eject({ name: "vm" }, fake)).toEqual({
      ...{ name: "vm", target: "sda", path: null, previous: "/a.iso" },
      ...{ live: flags.includes("--live"), persistent: flags.includes("--config") },
    });
    expect(scopes(fake)).toEqual(flags);
    for (const words of changes(fake)) {
      expect(words[4]).not.toContain("<source");
      expect(words[4]).toContain("cache='none'");
    }
  });

  test("by force", async () => {
    const fake = domain({ state: "running", drives: { sda: "/a.iso" } });
    await eject({ name: "vm", force: true }, fake);
    expect(scopes(fake)).toEqual(["--live --force", "--config"]);
  });

  test.each<[Domain, object, string, RegExp]>([
    [{}, {}, "not_found", /^target: no CD-ROM drive of vm holds a medium/],
    [
      { drives: { sda: undefined } },
      { target: "sda" },
      "not_found",
      /^target: drive sda of vm holds no medium/,
    ],
    [
      { drives: { sda: "/a" } },
      { target: "vda" },
      "invalid_input",
      /no CD-ROM drive vda; its drives are sda/,
    ],
    [
      { drives: { sda: "/a", sdb: "/b" } },
      {},
      "invalid_input",
      /^target: the drives sda, sdb of vm hold media; say which/,
    ],
  ])("%j: %j is refused", async (made, input, code, message) => {
    const fake = domain(made);
    await expect(eject({ name: "vm", ...input }, fake)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(changes(fake)).toEqual([]);
  });

  test("a tray that stays shut is locked; another failure is its own", async () => {
    const late = { "update-device --live": new HyperError("virsh_failed", "zu spät") };
    const fake = domain({ state: "running", drives: { sda: "/a.iso" }, fails: late });
    await expect(eject({ name: "vm" }, fake)).rejects.toMatchObject({
      code: "in_use",
      message: expect.stringMatching(
        /^target: the tray of sda did not open: the guest has locked it.*force: true \(zu spät\)/,
      ),
    });
    expect(scopes(fake)).toEqual(["--live"]);
    await expect(eject({ name: "vm", force: true }, fake)).rejects.toMatchObject({
      message: "zu spät",
    });
    const other = { "update-device --live": new HyperError("invalid_input", "XML error") };
    const broken = domain({ state: "running", drives: { sda: "/a.iso" }, fails: other });
    await expect(eject({ name: "vm" }, broken)).rejects.toMatchObject({ message: "XML error" });
  });

  test("a definition that cannot be stored: the running domain has its medium back", async () => {
    const fails = { "update-device --config": new HyperError("virsh_failed", "no") };
    const fake = domain({ state: "running", drives: { sda: "/a.iso" }, fails });
    await expect(eject({ name: "vm" }, fake)).rejects.toMatchObject({ message: "no" });
    expect(scopes(fake)).toEqual(["--live", "--config", "--live"]);
    expect(changes(fake)[2]?.[4]).toBe(driveXml("sda", "/a.iso"));
  });
});
