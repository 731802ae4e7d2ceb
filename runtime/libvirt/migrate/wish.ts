/** What a caller wishes of a migration: the fields of `domain/migrate`, and those that its checks share. */
import * as z from "zod";
import { DomainName, PoolName } from "../names.ts";

export const HostAlias = z
  .string()
  .min(1, "must name a hypervisor of the configuration")
  .describe("alias of the hypervisor that the domain is to go to");

export const CopyStorage = z
  .enum(["none", "all", "incremental"])
  .describe(
    "none: both hypervisors see the same storage; all: whole disks are copied; incremental: overlays alone, on bases that both have",
  );

export const Live = z
  .boolean()
  .default(false)
  .describe("of a running domain, which goes on; otherwise the domain must be shut off");

const Seconds = z
  .int()
  .min(1)
  .max(7 * 86_400);

/** What the checks need to know. */
export const Route = z.strictObject({
  name: DomainName,
  to: HostAlias,
  live: Live,
  copy_storage: CopyStorage.default("none"),
  target_pool: PoolName.optional().describe(
    "of the other hypervisor, for all disks that are copied; where they lie now unless given",
  ),
  migrate_host: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9.:-]*$/, "must be a host name or an address")
    .max(255)
    .optional()
    .describe(
      "with live: the address by which the source reaches the target; its SSH address unless given",
    ),
  tls: z
    .boolean()
    .default(false)
    .describe(
      "with live: encrypted, with the certificates that QEMU has on both hypervisors; the target's must be for `migrate_host`",
    ),
});
export type Route = z.output<typeof Route>;

export const MigrateWish = z.strictObject({
  ...Route.shape,
  persistent: z
    .boolean()
    .default(true)
    .describe("with live: the domain is defined there, and not gone once it is off"),
  undefine_source: z
    .boolean()
    .default(true)
    .describe("the source has it no more; the files of its disks stay there"),
  bandwidth: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe(
      "with live: MiB per second at most, of the memory and of the disks each; also of what the guest fetches after `postcopy_after`, for which it waits",
    ),
  auto_converge: z
    .boolean()
    .default(false)
    .describe("with live: a guest that writes faster than its memory flows is slowed down"),
  postcopy_after: Seconds.optional().describe(
    "with live: after so many seconds the guest goes on there, and fetches the rest of its memory as it needs it; from then on nothing stops the migration, `timeout` neither",
  ),
  timeout: Seconds.optional().describe(
    "with live: after so many seconds the migration is given up, and the guest goes on where it is",
  ),
  dry_run: z.boolean().default(false).describe("tell what would be done, and do nothing"),
});
export type MigrateWish = z.output<typeof MigrateWish>;
