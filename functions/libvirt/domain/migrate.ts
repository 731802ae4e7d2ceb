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
  message: ({ name, from, to, dry_run }) =>
    dry_run
      ? `Domain ${name} would move from ${from} to ${to}`
      : `Domain ${name} moved from ${from} to ${to}`,
  job: { elsewhere: ({ to, name }) => [{ host: to, name }] },
  examples: [
    { name: "my-vm", to: "kvm2", copy_storage: "all" },
    { name: "my-vm", to: "kvm2", live: true, dry_run: true },
  ],

  async run(wish, ctx) {
    return migrate(ctx, wish);
  },
});
