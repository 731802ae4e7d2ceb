/** The field `cloud_init` of domain/create and template/deploy: what the guest's cloud-init is told. */
import * as z from "zod";
import {
  exact,
  fqdn,
  hostname,
  Package,
  Password,
  RunCommand,
  type Sample,
  SshKey,
  Text,
  User,
  WriteFile,
  withPlaceholders,
} from "./fields.ts";
import { networkConfig } from "./network-config.ts";

/** Fields that are written into user-data, which a raw one would not have. */
const OF_USER_DATA = ["users", "password", "packages", "write_files", "run_commands"] as const;
/** Keys of meta-data that have another source. */
const OWN_META_DATA = ["instance-id", "local-hostname", "public-keys"];

const cloudInit = (sample: Sample) =>
  z
    .strictObject({
      hostname: hostname(sample).optional().describe("the domain's name unless given"),
      fqdn: fqdn(sample).optional(),
      users: z
        .array(User)
        .max(100)
        .optional()
        .describe(
          "users to make; the image's default user is then made only for ssh_authorized_keys or password",
        ),
      ssh_authorized_keys: z
        .array(SshKey)
        .max(100)
        .optional()
        .describe("public keys of the image's default user"),
      password: Password.optional().describe(
        "of the image's default user: plain, or a hash of crypt(3) such as $6$…",
      ),
      packages: z.array(Package).max(1000).optional(),
      write_files: z.array(WriteFile).max(1000).optional(),
      run_commands: z
        .array(RunCommand)
        .max(1000)
        .optional()
        .describe("run as root at the end of the first boot: a line for sh, or an argv"),
      network: networkConfig(sample).optional(),
      user_data: Text.min(1, "must not be empty")
        .optional()
        .describe(
          "user-data of your own, which is passed on unread; hostname, fqdn, ssh_authorized_keys and network may stand beside it",
        ),
      meta_data: z
        .record(z.string().min(1).max(255), z.json())
        .optional()
        .describe("further keys of meta-data; instance-id is the domain's UUID"),
      vendor_data: Text.min(1, "must not be empty").optional().describe("passed on unread"),
    })
    .superRefine((input, { addIssue }) => {
      if (input.user_data !== undefined) {
        const others = OF_USER_DATA.filter((field) => input[field] !== undefined);
        const message = `goes to the guest unread, so that ${others.join(", ")} cannot be added; write them into it, or leave it out`;
        if (others.length > 0) addIssue({ code: "custom", path: ["user_data"], message });
      }
      const names = (input.users ?? []).map(({ name }) => name);
      names.forEach((name, i) => {
        if (names.indexOf(name) < i)
          addIssue({
            code: "custom",
            path: ["users", i, "name"],
            message: "must not be named twice",
          });
      });
      for (const key of OWN_META_DATA.filter((name) => Object.hasOwn(input.meta_data ?? {}, name)))
        addIssue({
          code: "custom",
          path: ["meta_data", key],
          message:
            key === "instance-id"
              ? "is the domain's UUID, so that a clone is a new instance"
              : `has its own field, ${key === "public-keys" ? "ssh_authorized_keys" : "hostname or fqdn"}`,
        });
    });

export const CloudInit = cloudInit(exact);
export type CloudInit = z.output<typeof CloudInit>;

/** The same, where texts may have the placeholders `{{name}}` and `{{index}}`. */
export const CloudInitTemplate = cloudInit(withPlaceholders);
