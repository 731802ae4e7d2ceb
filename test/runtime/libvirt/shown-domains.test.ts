/** What a caller who is limited to some domains learns of others' disks: that they exist, and no name. */
import { expect, test } from "vitest";
import { everything } from "../../../runtime/access/caller.ts";
import { rightsByName } from "../../../runtime/access/domain-rights.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { assertOwnSeeds } from "../../../runtime/libvirt/cloud-init/own-seed.ts";
import { assertFree } from "../../../runtime/libvirt/create/existing.ts";
import { ownVolumes } from "../../../runtime/libvirt/domain/own-volumes.ts";
import { assertAttachable } from "../../../runtime/libvirt/storage/attachable.ts";
import { mayBeInUse } from "../../../runtime/libvirt/storage/look.ts";
import { readStorage } from "../../../runtime/libvirt/storage/usage.ts";
import { disk, hypervisor } from "../../fixtures/storage.ts";

const caller = { ...everything("token", "web"), domains: ["web-*"] };
const world = () =>
  hypervisor({
    domains: {
      "db-1": [true, disk("file='/p/shared'")],
      "web-1": [false, disk("file='/p/shared'")],
      "web-2": [false, disk("file='/p/web-2-seed.iso'")],
    },
    pools: { p: { "/p/shared": null, "/p/web-2-seed.iso": null, "/p/over": "/p/shared" } },
  }).ctx;
const limited = (): Context => ({
  ...world(),
  host: "local",
  caller,
  rights: rightsByName(caller),
});
const at = (path: string) => ({ path, pool: "p", name: path.slice(3) });

/** The rights of a query: nothing is seen before it was looked up. */
function selecting(own: string[]) {
  const known = new Set<string>();
  return {
    ...rightsByName(caller),
    sees: (_: string, name: string) => known.has(name),
    lookUp: async (_: string, names: string[] = []) => {
      for (const name of names) if (own.includes(name)) known.add(name);
    },
  };
}

test("a disk of another domain: in_use without its name", async () => {
  const ctx = limited();
  const storage = await readStorage(ctx);
  const image = { ...at("/p/shared"), format: "raw", backing: null };
  const attach = assertAttachable(
    ctx,
    "web-3",
    image,
    { readOnly: false, shareable: false },
    "volume",
  );
  const error = await attach.catch((error: unknown) => error);
  expect(error).toMatchObject({ code: "in_use", details: { domains: [] } });
  const free = () => assertFree(ctx, storage, at("/p/shared"), "disks[0].volume");
  expect(free).toThrow("used by another domain");
  const unknown = [{ domain: "db-1", path: "/p/db-1.img", reason: "/p/db-1.img: denied" }];
  const texts = [`${error}`, mayBeInUse(ctx, "volume v", unknown).message];
  expect(texts.join()).toContain("another domain uses shared; only");
  expect(texts.join()).not.toContain("db-1");
});

test("what is kept of a domain's volumes, and why, names no other domain", async () => {
  const ctx = limited();
  const none = { snapshots: { overlays: [], disks: [] }, seed: undefined };
  const { kept } = await ownVolumes(ctx, await readStorage(ctx), "web-1", none, new Set());
  expect(kept).toEqual([{ path: "/p/shared", reason: "another domain uses it" }]);
});

test("one of its own is named", async () => {
  const ctx = { ...limited(), rights: selecting(["db-1", "web-1"]) };
  const image = { ...at("/p/shared"), format: "raw", backing: null };
  const attach = assertAttachable(
    ctx,
    "web-3",
    image,
    { readOnly: false, shareable: false },
    "volume",
  );
  await expect(attach).rejects.toMatchObject({ details: { domains: ["db-1"] } });
});

test("an image below a disk of another domain, and a seed: the error names the image", async () => {
  const ctx = limited();
  const image = {
    ...at("/p/over"),
    format: "qcow2",
    backing: { path: "/p/shared", format: "raw" },
  };
  const own = { ...ctx, rights: selecting(["web-1", "web-2"]) };
  const over = { filename: "/p/over", format: "qcow2", "backing-filename": "/p/shared" };
  const exec: Context["exec"] = async (argv, options) => {
    if (argv[0] === "xargs") return ctx.exec(argv, options);
    if (argv[2]?.includes("readlink"))
      return { exitCode: 0, stdout: `${argv.slice(4).join("\n")}\n`, stderr: "" };
    const info = argv.some((word) => word.includes("/p/over"))
      ? over
      : { filename: "/p/shared", format: "raw" };
    return { exitCode: 0, stdout: JSON.stringify(info), stderr: "" };
  };
  const storage = await readStorage(ctx);
  const sharing = { readOnly: true, shareable: false };
  const refused = { code: "forbidden", details: { missing: "image:over" } };
  const attach = assertAttachable({ ...ctx, exec }, "web-3", image, sharing, "volume", storage);
  await expect(attach).rejects.toMatchObject(refused);
  const seed = at("/p/web-2-seed.iso");
  await assertOwnSeeds(own, storage, [seed]); // a query selects it, which nobody has looked up
  const foreign = assertOwnSeeds({ ...ctx, rights: selecting(["web-1"]) }, storage, [seed]);
  await expect(foreign).rejects.toMatchObject({ details: { missing: `image:${seed.name}` } });
});
