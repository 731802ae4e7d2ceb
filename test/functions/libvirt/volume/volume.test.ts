/** What a real libvirt in a directory pool cannot show: other kinds of volumes, and a way back that fails. */
import { describe, expect, test } from "vitest";
import clone from "../../../../functions/libvirt/volume/clone.ts";
import resize from "../../../../functions/libvirt/volume/resize.ts";
import upload from "../../../../functions/libvirt/volume/upload.ts";
import wipe from "../../../../functions/libvirt/volume/wipe.ts";
import volumes from "../../../../functions/libvirt/volumes.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { createContext } from "../../../../runtime/hypervisor/context.ts";
import { inCopyPlace } from "../../../../runtime/libvirt/storage/copy-place.ts";
import { answering, until } from "../../../fixtures/fake.ts";

type Answer = { exitCode?: number; stdout?: string; stderr?: string };

/** A hypervisor with one pool that has the volume v; `run` is what other programs do. */
function hypervisor(
  type: string,
  run: (argv: string[]) => Answer,
  fails: Record<string, HyperError> = {},
) {
  const domain = `<domain><name>7</name><devices><disk><source file='/p/v'/><target dev='vdb'/></disk></devices></domain>`;
  const fake = answering((verb, ...words) => {
    if (fails[verb]) return fails[verb];
    if (verb === "list")
      return words.includes("--name") ? "11111111-0000-4000-8000-000000000000 7\n" : "";
    if (verb === "vol-dumpxml") {
      const format = type === "file" ? "<format type='qcow2'/>" : "";
      return `<volume type='${type}'><name>v</name><capacity>1048576</capacity><allocation>0</allocation><target><path>/p/v</path>${format}</target></volume>`;
    }
    return verb === "dumpxml" ? domain : "";
  });
  const programs: string[][] = [];
  const exec = async (argv: string[]) => {
    const at = argv.indexOf("qemu-img");
    const program = at > 0 ? argv.slice(at) : argv;
    programs.push(program);
    return { exitCode: 0, stdout: "", stderr: "", ...run(program) };
  };
  return { ...fake, exec, programs };
}

describe("upload", () => {
  const input = { pool: "p", volume: "v", source_path: "/data/x" };
  const image = ([program, verb]: string[], converted: Answer = {}): Answer => {
    if (program === "xargs") return { stdout: "/data/x\0/data\0" };
    if (program === "test") return {};
    if (program === "sh")
      return { stdout: `1:2:1048576:t\n${"00".repeat(512)}\n${"00".repeat(512)}\n/data/x` };
    if (verb === "info") return { stdout: '{"format":"raw","virtual-size":1048576}' };
    return converted;
  };

  test.each([
    ["file", "qcow2", true],
    ["block", "raw", false], // whatever the request says, a logical volume is raw, and not known to be zero
  ])("into a volume that is a %s", async (type, format, zero) => {
    const fake = hypervisor(type, (argv) => image(argv));
    expect(await upload(input, fake)).toMatchObject({ name: "v", source_format: "raw" });
    const convert = fake.programs.at(-1) ?? [];
    expect(convert.slice(0, 4)).toEqual(["qemu-img", "convert", "-p", "-n"]);
    expect(convert.includes("--target-is-zero")).toBe(zero);
    expect(convert[convert.indexOf("-O") + 1]).toBe(format);
    expect(convert.at(-1)).toBe("/p/v");
    expect(fake.verbs()).not.toContain("vol-delete");
  });

  test.each([
    [[], /^qemu-img convert: No space left on device$/],
    [
      ["vol-delete"],
      /^qemu-img convert: No space left on device; left behind: volume v of pool p \(busy\)$/,
    ],
  ])("a conversion that fails; so does %j", async (verbs, message) => {
    const full = { exitCode: 1, stderr: "No space left on device" };
    const busy = Object.fromEntries(verbs.map((verb) => [verb, new HyperError("in_use", "busy")]));
    const fake = hypervisor("file", (argv) => image(argv, full), busy);
    await expect(upload(input, fake)).rejects.toMatchObject({
      code: "no_space",
      message: expect.stringMatching(message),
    });
    expect(fake.calls.at(-1)).toEqual(["vol-delete", "--pool", "p", "--vol", "v"]);
  });

  test("a volume that cannot be created is not ours to delete", async () => {
    const taken = new HyperError("already_exists", "taken");
    const fails = { "vol-create": taken, "vol-create-as": taken };
    const fake = hypervisor("file", (argv) => image(argv), fails);
    await expect(upload(input, fake)).rejects.toMatchObject({ code: "already_exists" });
    expect(fake.verbs()).not.toContain("vol-delete");
    expect(fake.programs.map(([, verb]) => verb)).not.toContain("convert");
  });
});

describe("sizes that are no whole KiB, to which libvirt would round them up", () => {
  const input = { pool: "p", volume: "v", source_path: "/data/x" };
  const image = (size: number) => (argv: string[]) => {
    const [program, verb] = argv;
    if (program === "xargs") return { stdout: "/data/x\0/data\0" };
    if (program === "test") return {};
    if (program === "sh")
      return { stdout: `1:2:1048576:t\n${"00".repeat(512)}\n${"00".repeat(512)}\n/data/x` };
    return verb === "info" ? { stdout: `{"format":"raw","virtual-size":${size}}` } : {};
  };
  test.each([
    ["file", 10 * 2 ** 20 + 512, ["-O"]],
    ["file", 1536, ["-O"]],
    ["file", 10 * 2 ** 20, ["-n", "--target-is-zero", "-O"]],
    ["block", 10 * 2 ** 20 + 512, ["-n", "-O"]], // a partition has the size that it has
  ])("%s of %i bytes: qemu-img convert %j", async (type, size, flags) => {
    const fake = hypervisor(type, image(size));
    await upload(input, fake);
    const convert = fake.programs.at(-1) ?? [];
    expect(convert.slice(2, convert.indexOf("-O") + 1)).toEqual(["-p", ...flags]);
    expect(convert.at(-1)).toBe("/p/v");
  });

  test("a raw file that is hardly a disk deserves a word", () => {
    const { message, input: schema } = upload.spec;
    const said = (capacity_bytes: number, source_format: string) => {
      const volume = { pool: "p", name: "v", capacity_bytes, source_format };
      return typeof message === "function" && message(volume as never, schema.parse(input));
    };
    expect(said(4096, "raw")).toMatch(/it has only 4096 bytes, so make sure that the source is a/);
    expect(said(4096, "qcow2")).not.toMatch(/only/);
    expect(said(2 ** 20, "raw")).not.toMatch(/only/);
  });
});

describe("a volume that is a folder", () => {
  const calls: [string, (fake: ReturnType<typeof hypervisor>) => Promise<unknown>, string][] = [
    [
      "clone",
      (fake) => clone({ pool: "p", source_volume: "v", target_volume: "w" }, fake),
      "source_volume",
    ],
    ["resize", (fake) => resize({ pool: "p", volume: "v", capacity: 1 }, fake), "volume"],
    ["wipe", (fake) => wipe({ pool: "p", volume: "v" }, fake), "volume"],
    ["wipe, trim", (fake) => wipe({ pool: "p", volume: "v", algorithm: "trim" }, fake), "volume"],
  ];
  test.each(
    calls.flatMap(([what, call, field]) =>
      ["dir", "netdir"].map((type) => ({ what, call, field, type })),
    ),
  )("$type: no $what", async ({ call, field, type }) => {
    const fake = hypervisor(type, () => ({}));
    await expect(call(fake)).rejects.toMatchObject({
      code: "invalid_input",
      message: `${field}: "v" of pool p is a folder (type ${type}), not a disk image`,
    });
    expect(fake.verbs()).toEqual(["vol-dumpxml"]);
  });
});

test("clone: a volume that has become another while the copy waited for its place is not copied", async () => {
  const fails: Record<string, HyperError> = {};
  const fake = hypervisor("file", () => ({}), fails);
  const { promise, resolve } = Promise.withResolvers<void>();
  const others = [1, 2].map(() => inCopyPlace(createContext({ virsh: fake.virsh }), () => promise));
  const phases: string[] = [];
  const watching = { ...fake, progress: ({ phase }: { phase: string }) => phases.push(phase) };
  const call = clone({ pool: "p", source_volume: "v", target_volume: "w" }, watching);
  await until(() => phases.includes("waiting to copy"));
  fails["vol-dumpxml"] = new HyperError("not_found", "it is gone");
  resolve();
  await expect(call).rejects.toMatchObject({ code: "not_found", message: "it is gone" });
  expect(fake.verbs()).not.toContain("vol-create-from");
  await Promise.all(others);
});

test("volumes: of the pool default, unless told otherwise", async () => {
  const asked = async (input: { pool?: string }) => {
    const fake = hypervisor("file", () => ({}));
    await volumes(input, fake);
    return fake.calls.find(([verb]) => verb === "vol-list");
  };
  expect(await asked({})).toEqual(["vol-list", "--pool", "default"]);
  expect(await asked({ pool: "p" })).toEqual(["vol-list", "--pool", "p"]);
  await expect(asked({ pool: "" })).rejects.toMatchObject({ code: "invalid_input" });
});

describe("wipe", () => {
  const input = { pool: "p", volume: "v", force: true };
  const paths = () => ({ stdout: "/p/v\0" });

  test.each([
    ["zero", true, ["vol-wipe", "vol-delete", "vol-create"]],
    ["trim", true, ["vol-delete", "vol-create"]], // the emptied file has given its blocks back
    ["trim", false, ["vol-wipe", "vol-delete", "vol-create"]],
  ] as const)(
    "%s, writable: %s: what lost its header is made anew",
    async (algorithm, ours, verbs) => {
      const run = ([name]: string[]) => (name === "test" && !ours ? { exitCode: 1 } : paths());
      const fake = hypervisor("file", run);
      const answer = await wipe({ ...input, algorithm }, fake);
      expect(answer).toEqual({ pool: "p", volume: "v", algorithm, recreated: true });
      expect(fake.verbs().filter((verb) => /^vol-(wipe|delete|create)$/.test(`${verb}`))).toEqual(
        verbs,
      );
      const create = fake.calls.find(([verb]) => verb === "vol-create") ?? [];
      expect(`${create}`).toContain("<capacity>1048576</capacity>");
      expect(`${create}`).toContain("<format type='qcow2'/>");
      expect(`${create}`).not.toContain("<path>");
    },
  );

  test.each([
    ["block", ["blkdiscard", "/p/v"]],
    ["network", undefined],
  ])("trim of a volume that is a %s", async (type, program) => {
    const fake = hypervisor(type, paths);
    const trim = { ...input, algorithm: "trim" as const };
    expect(await wipe(trim, fake)).toMatchObject({ algorithm: "trim", recreated: false });
    if (program) expect(fake.programs.at(-1)).toEqual(program);
    expect(fake.verbs().includes("vol-wipe")).toBe(type === "network");
  });

  test("trim where it cannot be done: it says so, and nothing else is tried", async () => {
    const run = ([name]: string[]) =>
      name === "blkdiscard"
        ? { exitCode: 1, stderr: "blkdiscard: Operation not supported\n" }
        : { stdout: "1\0" };
    const fake = hypervisor("block", run);
    await expect(wipe({ ...input, algorithm: "trim" }, fake)).rejects.toMatchObject({
      code: "unsupported",
      message: "trim: blkdiscard: Operation not supported",
    });
    expect(fake.verbs()).not.toContain("vol-wipe");
  });

  test("trim of a device that the login user may not write to is refused before it is begun", async () => {
    const run = ([name, right]: string[]) =>
      name === "test" && right === "-w" ? { exitCode: 1 } : paths();
    const fake = hypervisor("block", run);
    await expect(wipe({ ...input, algorithm: "trim" }, fake)).rejects.toMatchObject({
      code: "permission_denied",
      message: expect.stringMatching(/^trim writes to \/p\/v, .* sudo = true in \[hosts\./),
    });
    expect(fake.programs.at(-1)?.[0]).toBe("test");
  });

  test.each([
    ["vol-delete", "volume v is wiped, but its overwritten file is left: full"],
    ["vol-create", "volume v is wiped, but it is removed and not made anew: full"],
  ])("a %s that fails says what is left", async (verb, message) => {
    const fake = hypervisor("file", paths, { [`${verb}`]: new HyperError("no_space", "full") });
    await expect(wipe(input, fake)).rejects.toMatchObject({ code: "no_space", message });
  });
});

test("resize: no domain uses it, so no domain is looked up", async () => {
  const fake = hypervisor("file", () => ({ stdout: "/p/v\0" }));
  await resize({ pool: "p", volume: "v", capacity: "2MiB" }, fake);
  expect(fake.calls).toContainEqual([
    "vol-resize",
    "--pool",
    "p",
    "--vol",
    "v",
    "--capacity",
    "2097152B",
  ]);
  expect(fake.verbs()).not.toContain("blockresize");
});
