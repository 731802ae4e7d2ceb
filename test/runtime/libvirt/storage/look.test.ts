/** The images below one: only a clear "no such file" is none, every other failure is unknown. */
import { describe, expect, test } from "vitest";
import { imagesBelow } from "../../../../runtime/libvirt/storage/look.ts";
import { assertUnused } from "../../../../runtime/libvirt/storage/usage.ts";
import { disk, hypervisor } from "../../../fixtures/storage.ts";

interface Header {
  /** The backing file that the header names. */
  on?: string;
  /** Why qemu-img cannot read the image. */
  fails?: string;
  /** Why the login user cannot even see it. */
  hidden?: string;
}

/** A hypervisor with these images: qemu-img and ls in their own words. */
function images(headers: Record<string, Header>) {
  return async (argv: string[]) => {
    const path = argv.at(-1) ?? "";
    const no = (stderr: string) => ({ stdout: "", stderr, exitCode: 1 });
    const header = headers[path];
    if (argv[0] === "ls") {
      if (header?.hidden) return no(`ls: cannot access '${path}': ${header.hidden}\n`);
      return header
        ? { stdout: path, stderr: "", exitCode: 0 }
        : no(`ls: cannot access '${path}': No such file or directory\n`);
    }
    const describe = (at: string): object[] => {
      const { on, fails, hidden } = headers[at] ?? { fails: "No such file or directory" };
      const reason = fails ?? hidden;
      if (reason) throw `qemu-img: Could not open '${at}': ${reason}\n`;
      const info = { filename: at, ...(on && { "full-backing-filename": on }) };
      return argv.includes("--backing-chain") && on ? [info, ...describe(on)] : [info];
    };
    try {
      const chain = describe(path);
      const answer = argv.includes("--backing-chain") ? chain : chain[0];
      return { stdout: JSON.stringify(answer), stderr: "", exitCode: 0 };
    } catch (stderr) {
      return no(`${stderr}`);
    }
  };
}

const below = (headers: Record<string, Header>) =>
  imagesBelow({ exec: images(headers) }, "/s/top", "qcow2");

test.each<[string, Record<string, Header>, string[]]>([
  [
    "a chain",
    { "/s/top": { on: "/s/mid" }, "/s/mid": { on: "/p/v" }, "/p/v": {} },
    ["/s/mid", "/p/v"],
  ],
  ["the image itself is missing", {}, []],
  ["a backing file is missing", { "/s/top": { on: "/p/v" } }, ["/p/v"]],
  [
    "the end of a chain is missing",
    { "/s/top": { on: "/p/v" }, "/p/v": { on: "/x" } },
    ["/p/v", "/x"],
  ],
])("known: %s", async (_what, headers, expected) => {
  expect(await below(headers)).toEqual(expected);
});

test.each<[string, Record<string, Header>]>([
  ["its folder is closed", { "/s/top": { hidden: "Permission denied" } }],
  ["NFS with root_squash", { "/s/top": { fails: "Permission denied" } }],
  ["it is locked", { "/s/top": { fails: 'Failed to get "write" lock' } }],
  ["its header is damaged", { "/s/top": { fails: "Image is not in qcow2 format" } }],
  [
    "one below cannot be read",
    { "/s/top": { on: "/p/v" }, "/p/v": { fails: "Input/output error" } },
  ],
  ["the server of its folder is gone", { "/s/top": { hidden: "Stale file handle" } }],
])("unknown: %s", async (_what, headers) => {
  await expect(below(headers)).rejects.toMatchObject({ name: "HyperError" });
});

test("a hypervisor without qemu-img: unknown", async () => {
  const exec = async (argv: string[]) =>
    argv[0] === "ls"
      ? { stdout: "", stderr: "", exitCode: 0 }
      : { stdout: "", stderr: "qemu-img: not found\n", exitCode: 127 };
  await expect(imagesBelow({ exec }, "/s/top", "qcow2")).rejects.toMatchObject({
    code: "command_failed",
  });
});

describe("a volume beside a domain whose overlay cannot be read", () => {
  const overlay = disk("file='/s/top'").replace("<source", "<driver type='qcow2'/><source");
  const ctx = (headers: Record<string, Header>, running = false) => {
    const { ctx } = hypervisor({
      domains: { ov: [running, overlay] },
      pools: { p: { "/p/v": null } },
    });
    const look = images(headers);
    const realpath = ctx.exec;
    ctx.exec = (argv, options) => (argv[0] === "xargs" ? realpath(argv, options) : look(argv));
    return ctx;
  };
  const V = { pool: "p", name: "v", path: "/p/v" };

  test("is refused, and the domain is named; force does it all the same", async () => {
    const denied = ctx({ "/s/top": { fails: "Permission denied" } });
    await expect(assertUnused(denied, V, false)).rejects.toMatchObject({
      code: "in_use",
      message: expect.stringMatching(
        /^volume v of pool p may be the base of \/s\/top of domain ov, which cannot be read: .*Permission denied; force: true/,
      ),
      details: { domains: ["ov"] },
    });
    await assertUnused(denied, V, true);
  });

  test("is free where the overlay is missing, and where the running domain names its chain", async () => {
    await assertUnused(ctx({}), V, false);
    await assertUnused(ctx({ "/s/top": { fails: "locked" } }, true), V, false);
  });

  test("is in use where the overlay can be read", async () => {
    await expect(assertUnused(ctx({ "/s/top": { on: "/p/v" } }), V, false)).rejects.toMatchObject({
      message: "volume v of pool p is used by ov; force: true does it all the same",
    });
  });
});
