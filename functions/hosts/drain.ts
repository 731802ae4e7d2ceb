/** POST /hosts/drain: move every domain of a hypervisor to others. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { Drained, drain } from "#runtime/libvirt/migrate/drain.ts";
import { targetOf } from "#runtime/libvirt/migrate/sides.ts";
import { HostAlias, MigrateWish } from "#runtime/libvirt/migrate/wish.ts";

const { name: _name, to: _to, live: _live, ...options } = MigrateWish.shape;

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Move every domain of a hypervisor to others",
  input: z.strictObject({
    host: HostAlias.describe("alias of the hypervisor that is to be empty"),
    to: z
      .array(HostAlias)
      .min(1, "must name at least one hypervisor")
      .max(64)
      .refine((hosts) => new Set(hosts).size === hosts.length, "must not name one twice")
      .describe("aliases of those that take its domains; each goes where all checks pass"),
    concurrency: z.int().min(1).max(16).default(2).describe("how many move at once"),
    live: z.boolean().default(true).describe("running domains too, while they run"),
    ...options,
    copy_storage: MigrateWish.shape.copy_storage,
  }),
  output: z.object({
    total: z.int(),
    moved: z.int(),
    dry_run: z.boolean(),
    domains: z.array(Drained),
  }),
  message: ({ total, moved, dry_run }, { host }) =>
    `${moved} of ${total} domains ${dry_run ? "would move" : "moved"} from ${host}`,
  examples: [{ host: "kvm1", to: ["kvm2"], copy_storage: "all" }],

  async run({ host, ...wish }, ctx) {
    for (const to of wish.to) {
      if (to === host) throw new HyperError("invalid_input", `to: ${to} is to be empty itself`);
      targetOf(ctx, to);
    }
    const source = host === ctx.host ? ctx : targetOf(ctx, host);
    const domains = await drain({ ...source, progress: ctx.progress }, wish);
    const moved = domains.filter(({ success }) => success).length;
    return { total: domains.length, moved, dry_run: wish.dry_run, domains };
  },
});
