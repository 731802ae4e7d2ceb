/** Making, ejecting and failing to make a seed: what libvirt is told, and what is left. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { log } from "../../../../runtime/core/log.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import type { Outcome } from "../../../../runtime/hypervisor/outcomes.ts";
import { ejectSeed } from "../../../../runtime/libvirt/cloud-init/eject-seed.ts";
import { CloudInit } from "../../../../runtime/libvirt/cloud-init/schema.ts";
import { makeSeed } from "../../../../runtime/libvirt/cloud-init/seed.ts";
import type { Journal } from "../../../../runtime/libvirt/journal.ts";
import type { Resource } from "../../../../runtime/libvirt/resource.ts";
import { answering } from "../../../fixtures/fake.ts";

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";

interface Host {
  type?: string;
  path?: string;
  writable?: boolean;
  fails?: Record<string, HyperError>;
}

function hypervisor({
  type = "dir",
  path = "/p/web-seed.iso",
  writable = true,
  fails = {},
}: Host = {}) {
  const fake = answering((verb): Outcome => {
    if (fails[verb]) return fails[verb];
    if (verb === "pool-dumpxml") return `<pool type='${type}'><name>p</name></pool>`;
    const kind = path.startsWith("/dev/") ? "block" : "file";
    if (verb === "vol-dumpxml")
      return `<volume type='${kind}'><name>web-seed.iso</name><target><path>${path}</path></target></volume>`;
    return "";
  });
  const written: [string, Uint8Array][] = [];
  const tracked: Resource[] = [];
  const journal = {
    track: <T>(resource: Resource, make: () => Promise<T>) => {
      tracked.push(resource);
      return make();
    },
  } as Journal;
  const overwrite: Context["overwrite"] = async (file, content) => {
    if (writable) written.push([file, content]);
    return writable;
  };
  const ctx = { ...fake, host: "seeds", log, overwrite } as unknown as Context;
  const make = (input: object = {}) =>
    makeSeed(ctx, journal, {
      pool: "p",
      domain: "web",
      uuid: UUID,
      cloudInit: CloudInit.parse(input),
    });
  return { ...fake, ctx, written, tracked, make };
}

test("the volume is made as libvirt makes it, and written over without a process", async () => {
  const { make, calls, written, tracked, verbs } = hypervisor();
  expect(await make({ user_data: "#!/bin/sh\n" })).toEqual({
    pool: "p",
    volume: "web-seed.iso",
    path: "/p/web-seed.iso",
  });
  expect(verbs()).toEqual(["pool-dumpxml", "vol-create", "vol-dumpxml"]);
  const [[file = "", content = new Uint8Array()] = []] = written;
  expect(file).toBe("/p/web-seed.iso");
  expect(calls[1]?.at(-1)).toContain(`<capacity unit="bytes">${content.length}</capacity>`);
  expect(calls[1]?.at(-1)).not.toMatch(/mode|owner/);
  expect(Buffer.from(content).toString("latin1")).toContain("#!/bin/sh\n");
  expect(tracked).toEqual([{ kind: "volume", pool: "p", name: "web-seed.iso" }]);
});

test.each([
  ["the login may not write it", { writable: false }],
  ["it is a device", { type: "logical", path: "/dev/vg/web-seed.iso" }],
])("libvirtd writes it where %s", async (_, host) => {
  const { make, calls, written } = hypervisor(host);
  await make();
  expect(written).toEqual([]);
  const [upload = []] = calls.slice(-1);
  expect(upload.slice(0, 6)).toEqual([
    "vol-upload",
    "--pool",
    "p",
    "--vol",
    "web-seed.iso",
    "--file",
  ]);
  expect(upload[6]).toContain("CD001");
});

test("the pool is asked once for many seeds", async () => {
  const { make, verbs } = hypervisor();
  await Promise.all([make(), make(), make()]);
  expect(verbs().filter((verb) => verb === "pool-dumpxml")).toHaveLength(1);
});

describe("refuses", () => {
  test.each(["rbd", "disk", "gluster", "iscsi"])(
    "a pool of type %s, before anything is made",
    async (type) => {
      const { make, verbs } = hypervisor({ type });
      await expect(make()).rejects.toMatchObject({
        code: "unsupported",
        message: `cloud_init: pool p is of type ${type}, and a seed can be made in a pool of type dir, fs, netfs, logical`,
      });
      expect(verbs()).toEqual(["pool-dumpxml"]);
    },
  );

  test("a name that is taken", async () => {
    const taken = new HyperError("already_exists", "exists already");
    const { make, written } = hypervisor({ fails: { "vol-create": taken } });
    await expect(make()).rejects.toBe(taken);
    expect(written).toEqual([]);
  });
});

describe("ejecting", () => {
  const definition = (
    mark: string,
  ) => `<domain><name>web</name><uuid>${UUID}</uuid><metadata>${mark}</metadata>
    <devices><disk type='file' device='cdrom'><source file='/p/s'/><target dev='sda'/></disk></devices></domain>`;
  const MARK = `<hypersdk:seed xmlns:hypersdk='urn:hypersdk:seed:1' domain='${UUID}' pool='p' volume='s' path='/p/s' target='sda'/>`;
  const ejecting = (mark: string, locked = false) =>
    answering((verb, ...words): Outcome => {
      if (verb === "dumpxml") return definition(mark);
      const isRefused = locked && verb === "change-media" && !words.includes("--force");
      return isRefused ? new HyperError("virsh_failed", "locked") : "";
    });
  const eject = ["change-media", "--domain", "d", "--path", "sda", "--eject", "--live", "--config"];
  test.each([false, true])("the seed goes, then its mark; locked: %s", async (locked) => {
    const fake = ejecting(MARK, locked);
    expect(await ejectSeed({ ...fake, host: "eject", log } as unknown as Context, "d")).toBe(true);
    expect(fake.calls.slice(1)).toEqual([
      eject,
      ...(locked ? [[...eject, "--force"]] : []),
      ["vol-delete", "--pool", "p", "--vol", "s"],
      [
        "metadata",
        "--domain",
        "d",
        "--uri",
        "urn:hypersdk:seed:1",
        "--remove",
        "--live",
        "--config",
      ],
    ]);
  });

  test.each(["", MARK.replace(UUID, "another")])(
    "a domain without a seed of its own: %s",
    async (mark) => {
      const fake = ejecting(mark);
      expect(await ejectSeed({ ...fake, host: "eject", log } as unknown as Context, "d")).toBe(
        false,
      );
      expect(fake.verbs()).toEqual(["dumpxml"]);
    },
  );
});
