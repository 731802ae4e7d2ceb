/** The field `customize` of template/deploy, and the commands of virt-customize that it becomes. */
import * as z from "zod";

/** One line of virt-customize's command file. A newline would begin another command, a `\` at the end join two. */
const Line = z
  .string()
  .min(1)
  .max(8192)
  .regex(/^[^\p{Cc}]*[^\p{Cc}\\]$/u, 'must be one line, and not end with "\\"');

export const Customize = z.strictObject({
  hostname: z
    .string()
    .max(253)
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, "must be a host name")
    .optional(),
  timezone: z
    .string()
    .regex(/^[A-Za-z0-9_+/-]+$/, "must be a time zone such as Europe/Berlin")
    .optional(),
  root_password: Line.optional(),
  ssh_authorized_keys: z.array(Line).optional().describe("public keys that may log in as root"),
  packages: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+:_-]*$/, "must be a package name"))
    .optional(),
  run_commands: z.array(Line).optional().describe("run in the disk, before the first start"),
  first_boot_commands: z.array(Line).optional().describe("run by the guest when it first starts"),
});

export type Customize = z.output<typeof Customize>;

/** The lines of virt-customize's command file; empty if nothing is requested. */
export function customizeCommands(request: Customize): string[] {
  return [
    ...(request.hostname ? [`hostname ${request.hostname}`] : []),
    ...(request.timezone ? [`timezone ${request.timezone}`] : []),
    ...(request.root_password ? [`root-password password:${request.root_password}`] : []),
    ...(request.packages?.length ? [`install ${request.packages.join(",")}`] : []),
    ...(request.ssh_authorized_keys ?? []).map((key) => `ssh-inject root:string:${key}`),
    ...(request.run_commands ?? []).map((command) => `run-command ${command}`),
    ...(request.first_boot_commands ?? []).map((command) => `firstboot-command ${command}`),
  ];
}
