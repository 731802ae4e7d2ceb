/** POST /libvirt/domain/migrate: move a domain to another hypervisor of the configuration, running or shut off. */
import { defineFunction } from "#runtime/function/define.ts";
import { Migration, migrate } from "#runtime/libvirt/migrate/migrate.ts";
import { MigrateWish } from "#runtime/libvirt/migrate/wish.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Move a domain to another hypervisor",
  input: MigrateWish,
  output: Migration,
  message: ({ name, from, to, dry_run, checks }) => {
    const way = `from ${from} to ${to}`;
    if (!dry_run) return `Domain ${name} moved ${way}`;
    const failed = checks.filter(({ status }) => status === "fail").map(({ item }) => item);
    if (failed.length === 0) return `Domain ${name} would move ${way}`;
    return `Domain ${name} cannot move ${way}; checks that fail: ${failed.join(", ")}`;
  },
  job: { elsewhere: ({ to, name }) => [{ host: to, name }] },
  examples: [
    { name: "my-vm", to: "kvm2", copy_storage: "all" },
    { name: "my-vm", to: "kvm2", live: true, dry_run: true },
  ],

  async run(wish, ctx) {
    return migrate(ctx, wish);
  },
});
