/** The input of template/deploy. */
import * as z from "zod";
import { CloudInitTemplate } from "../cloud-init/schema.ts";
import { Wait } from "../domain/wait-for-guest.ts";
import { DomainName, Name, NetworkName, NewName, PoolName } from "../names.ts";
import { Customize } from "./customize.ts";

/** The fields that make it several domains. */
const MANY = ["name_prefix", "count"] as const;

export const DeployInput = z
  .strictObject({
    template: DomainName,
    name: NewName.optional().describe("of the new domain; not for several"),
    name_prefix: Name.optional().describe("of several domains; a dash and the number follow it"),
    count: z.int().min(1).max(1000).optional().describe("how many"),
    start_index: z
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .describe("the first one's number, else 1"),
    memory: z
      .int()
      .min(1)
      .max(1 << 30)
      .optional()
      .describe("MiB; the template's unless given"),
    vcpus: z.int().min(1).max(4096).optional().describe("the template's unless given"),
    network: NetworkName.optional().describe("for the first interface"),
    start: z.boolean().default(false).describe("start it now"),
    autostart: z.boolean().default(false).describe("start it now, and with the hypervisor"),
    customize: Customize.default({}).describe("changes that virt-customize makes in the new disks"),
    cloud_init: CloudInitTemplate.optional().describe(
      "what the guest's cloud-init is told; in its texts {{name}} and {{index}} are replaced",
    ),
    seed_pool: PoolName.optional().describe(
      "where the volume for cloud-init goes; the first disk's pool unless given",
    ),
    wait: Wait.optional().describe(
      "answer when the guest is there; the domain stays if it does not come",
    ),
    linked: z
      .boolean()
      .optional()
      .describe(
        "overlays on the template's disks instead of copies; unless given, with cloud_init or count and a template of template/create",
      ),
  })
  .superRefine(({ name, start_index, cloud_init, seed_pool, ...input }, { addIssue }) => {
    const refuse = (path: string, message: string) =>
      addIssue({ code: "custom", path: [path], message });
    const given = MANY.filter((field) => input[field] !== undefined);
    if (name !== undefined && given.length > 0)
      refuse(`${given[0]}`, "is for several domains, and name for one");
    else if (name === undefined && given.length === 0)
      refuse("name", "required (string), or name_prefix and count for several domains");
    else if (given.length === 1)
      refuse(`${MANY.find((field) => field !== given[0])}`, `required beside ${given[0]}`);
    if (start_index !== undefined && !given.includes("count"))
      refuse("start_index", "is for several domains, with name_prefix and count");
    if (seed_pool !== undefined && !cloud_init) refuse("seed_pool", "is for cloud_init");
    const { wait, start, autostart } = input;
    if (wait && !start && !autostart) refuse("wait", "needs start or autostart");
    if (wait?.eject && !cloud_init) refuse("wait.eject", "is for cloud_init");
  });
