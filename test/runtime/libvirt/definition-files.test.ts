/** Definitions are read again when libvirt's own files have changed, and always where these cannot be listed. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { log } from "../../../runtime/core/log.ts";
import { memoizePerObject } from "../../../runtime/core/memoize.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { readDefinitionFiles } from "../../../runtime/libvirt/definition-files.ts";
import type { Definition } from "../../../runtime/libvirt/definition-memory.ts";
import { readChanged } from "../../../runtime/libvirt/definitions.ts";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { answering } from "../../fixtures/fake.ts";

interface Files {
  /** The identities of the stored and the running definitions, by the names of files. */
  stored: Record<string, string>;
  running: Record<string, string>;
}

const uuidOf = (name: string) =>
  `${Buffer.from(name).toString("hex").padEnd(8, "0").slice(0, 8)}-0000-4000-8000-000000000000`;
let hosts = 0;

function hypervisor(
  names: string[],
  files: Files,
  { uri = "qemu:///system", code = 0, age = 10 } = {},
) {
  const titles = new Map<string, string>();
  const gone = new Set<string>();
  const fake = answering((_verb, ...words) => {
    const name = names.find((one) => uuidOf(one) === words[1]) ?? "";
    if (gone.has(name)) return new HyperError("not_found", "gone");
    return `${xml`<domain><name>${name}</name><uuid>${uuidOf(name)}</uuid><title>${titles.get(name) ?? ""}</title></domain>`}`;
  });
  const list = (entries: Record<string, string>) =>
    `/folder\0${Object.entries(entries)
      .map(([name, identity]) => `${name}\0ff:8:${1000 - age}:${identity}\0tmpfs\0`)
      .join("")}\0${code}\0`;
  const exec = async () => {
    const stdout = `1000\0${list(files.stored)}${list({ "driver.pid": "0", ...files.running })}`;
    return { stdout, stderr: "", exitCode: 0 };
  };
  const ctx = { ...fake, exec, uri, log, host: `files ${hosts++}` } as unknown as Context;
  return {
    ...{ ctx, titles, gone },
    /** The domains whose definitions were read since the last time. */
    read: () =>
      fake.calls.splice(0).map(([, , uuid]) => names.find((name) => uuidOf(name) === uuid) ?? uuid),
  };
}

const NAMES = ["a", "it's <b>", "c"];
const files = (): Files => ({
  stored: { "a.xml": "1", "it's <b>.xml": "2", "c.xml": "3" },
  running: { "a.xml": "4" },
});
const uuids = NAMES.map(uuidOf);

test("what is the same is read once, and stays the same object", async () => {
  const { ctx, read } = hypervisor(NAMES, files());
  const first = await readChanged(ctx, uuids);
  expect(read()).toEqual(NAMES);
  const second = await readChanged(ctx, uuids);
  expect(read()).toEqual([]);
  for (const [i, definition] of second.entries()) expect(definition).toBe(first[i]);
  let made = 0;
  const make = memoizePerObject((_definition: Definition) => ++made);
  for (const definition of [...first, ...second])
    if (!(definition instanceof HyperError)) make(definition);
  expect(made).toBe(3);
});

describe("read again", () => {
  test.each<[string, (files: Files) => void, string[], string[]]>([
    ["the stored definition has changed", ({ stored }) => (stored["c.xml"] = "9"), ["c"], ["c"]],
    ["the running one has changed", ({ running }) => (running["a.xml"] = "9"), ["a"], []],
    ["a domain has started", ({ running }) => (running["c.xml"] = "9"), ["c"], []],
    ["a domain has stopped", ({ running }) => delete running["a.xml"], ["a"], []],
    ["a domain has no file any more", ({ stored }) => delete stored["c.xml"], ["c"], ["c"]],
    [
      "two files were swapped",
      ({ stored }) => {
        stored["c.xml"] = "2";
        stored["it's <b>.xml"] = "3";
      },
      ["it's <b>", "c"],
      ["it's <b>", "c"],
    ],
  ])("%s", async (_what, change, present, inactive) => {
    const world = files();
    const { ctx, read, titles } = hypervisor(NAMES, world);
    await readChanged(ctx, uuids);
    await readChanged(ctx, uuids, "--inactive");
    read();
    change(world);
    for (const name of NAMES) titles.set(name, "new");
    const definitions = await readChanged(ctx, uuids);
    expect(read()).toEqual(present);
    const isNew = definitions.map((one) => "text" in one && one.text.includes("new"));
    expect(isNew).toEqual(NAMES.map((name) => present.includes(name)));
    await readChanged(ctx, uuids, "--inactive");
    expect(read()).toEqual(inactive);
  });

  test.each([
    ["files that have just changed", { age: 0 }],
    ["a folder that cannot be listed", { code: 1 }],
    ["another daemon's URI", { uri: "qemu:///session" }],
    ["a remote daemon without its machine", { uri: "qemu+tls://kvm1/system" }],
    ["a daemon at another socket", { uri: "qemu+ssh://kvm1/system?socket=/x" }],
  ])("each time: %s", async (_what, options) => {
    const { ctx, read } = hypervisor(NAMES, files(), options);
    for (let n = 0; n < 2; n++) {
      await readChanged(ctx, uuids);
      expect(read()).toEqual(NAMES);
    }
  });

  test("a domain that is gone", async () => {
    const world = files();
    const { ctx, gone } = hypervisor(NAMES, world);
    await readChanged(ctx, uuids);
    gone.add("c");
    delete world.stored["c.xml"];
    expect((await readChanged(ctx, uuids))[2]).toMatchObject({ code: "not_found" });
  });
});

test.each([
  ["qemu:///system", true],
  ["qemu+ssh://root@kvm1:22/system?keyfile=/k", true],
  ["qemu:///session", false],
  ["test:///default", false],
])("%s: files are looked at: %s", async (uri, looks) => {
  const { ctx } = hypervisor(NAMES, files(), { uri });
  expect((await readDefinitionFiles(ctx))("a") !== undefined).toBe(looks);
});

test("without the daemon's lock beside them, the files are another's", async () => {
  const exec = async () => ({
    ...{ stderr: "", exitCode: 0 },
    stdout: "1000\0/folder\0a.xml\0ff:8:900:1\0ext4\0\0\x000\0/folder\0\0\x000\0",
  });
  expect((await readDefinitionFiles({ exec, uri: "qemu:///system" }))("a")).toBeUndefined();
});
