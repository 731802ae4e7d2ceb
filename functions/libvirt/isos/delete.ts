/** POST /libvirt/isos/delete: remove an ISO image that no domain has in a drive. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { deleteVolume } from "#runtime/libvirt/storage/delete-volume.ts";
import { asIso, Iso, isIso } from "#runtime/libvirt/storage/iso.ts";
import { mayBeInUse } from "#runtime/libvirt/storage/look.ts";
import { readStorage } from "#runtime/libvirt/storage/usage.ts";
import { KnownVolume, readVolume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete an ISO image",
  input: z.strictObject({ name: KnownVolume, pool: PoolName.default("default") }),
  output: Iso,
  message: ({ name, pool }) => `ISO image ${name} deleted from pool ${pool}`,
  examples: [{ name: "debian-12.iso" }],

  async run({ name, pool }, ctx) {
    const volume = await readVolume(ctx, pool, name);
    if (!isIso(volume)) {
      const text = `name: ${name} of pool ${pool} is no ISO image; volume/delete takes any volume`;
      throw new HyperError("invalid_input", text);
    }
    const storage = await readStorage(ctx);
    const domains = [...new Set(storage.disksUsing(volume).map(({ domain }) => domain))];
    if (domains.length > 0) {
      const text = `name: ${name} is in a drive of ${domains.join(", ")}; cdrom/eject takes it out`;
      throw new HyperError("in_use", text, { details: { domains } });
    }
    const children = [...storage.overlaysOf(volume), ...storage.dataUsersOf(volume)];
    if (children.length > 0) {
      const text = `name: ${name} is below ${children.join(", ")}, which would break without it`;
      throw new HyperError("in_use", text, { details: { children } });
    }
    if (storage.unknown.length > 0) throw mayBeInUse(ctx, `name: ${name}`, storage.unknown);
    await deleteVolume(ctx, storage, volume);
    return asIso(volume);
  },
});
