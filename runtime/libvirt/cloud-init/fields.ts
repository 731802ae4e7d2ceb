/** The fields of `cloud_init` that are checked: host names, keys, users, files and commands. */
import * as z from "zod";

/** What a text looks like once its placeholders are filled in; template/deploy alone fills them in. */
export type Sample = (text: string) => string;
export const exact: Sample = (text) => text;
export const withPlaceholders: Sample = (text) =>
  text.replaceAll(/\{\{ *name *\}\}/g, "a").replaceAll(/\{\{ *index *\}\}/g, "0");

const MAX_TEXT_CHARACTERS = 2 ** 20;

/** A text that the guest gets as it is. */
export const Text = z
  .string()
  .max(MAX_TEXT_CHARACTERS, "must be at most 1 MiB")
  .refine(
    (text) => !/(?![\t\n\v\f\r])[\p{Cc}\p{Cs}]/u.test(text),
    "must be text, without NUL and other control characters",
  );

/** A text of one line. */
export const Line = z
  .string()
  .min(1, "must not be empty")
  .max(8192)
  .regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]*$/u, "must be one line");

const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
export const HOSTNAME = new RegExp(`^${LABEL}$`);
export const FQDN = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})+$`);

export const hostname = (sample: Sample) =>
  z
    .string()
    .refine(
      (text) => HOSTNAME.test(sample(text)),
      'must be a host name of 1 to 63 letters, digits and "-"; a name with dots is the fqdn',
    );

export const fqdn = (sample: Sample) =>
  z
    .string()
    .refine(
      (text) => FQDN.test(sample(text)),
      "must be a host name with its domain, such as web.example.org",
    );

const KEY_TYPES = [
  ...["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp(?:256|384|521)"],
  ...["sk-ssh-ed25519@openssh\\.com", "sk-ecdsa-sha2-nistp256@openssh\\.com"],
].join("|");
/** Options, the type, the key and a comment. */
const KEY = new RegExp(`^(?:\\S.* )?(${KEY_TYPES}) ([A-Za-z0-9+/]+={0,2})(?: .*)?$`);

/** Whether the key's own bytes begin with its type. */
function isPublicKey(line: string): boolean {
  const [, type = "", base64 = ""] = KEY.exec(line) ?? [];
  const bytes = Buffer.from(base64, "base64");
  const length = bytes.length > 4 ? bytes.readUInt32BE(0) : 0;
  return (
    length > 0 && bytes.length > 4 + length && bytes.toString("latin1", 4, 4 + length) === type
  );
}

export const SshKey = Line.refine(
  isPublicKey,
  'must be a public SSH key such as "ssh-ed25519 AAAA… comment", as its .pub file has it',
);

export const Password = Line.max(512).describe(
  "plain, or a hash of crypt(3) such as $6$…; it goes into the guest as a hash",
);

/** A path of the guest. */
export const GuestPath = Line.max(4096).refine(
  (path) => /^\/(?:.*[^/])?$/.test(path) && !path.split("/").includes(".."),
  'must be an absolute path without ".."',
);

const UserName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?$/,
    'must be a user name of at most 32 letters, digits, "_", "." and "-"',
  );

export const User = z.strictObject({
  name: UserName,
  gecos: Line.regex(/^[^:]*$/, 'must not contain ":"')
    .optional()
    .describe("full name"),
  password: Password.optional().describe("without one the user logs in with a key only"),
  ssh_authorized_keys: z.array(SshKey).max(100).optional(),
  groups: z.array(UserName).max(100).optional().describe("further groups"),
  sudo: z
    .union([z.boolean(), Line])
    .optional()
    .describe("true: everything without a password; a text is a rule of sudoers"),
  shell: GuestPath.optional().describe("the distribution's unless given"),
  uid: z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .optional(),
  home: GuestPath.optional(),
  system: z.boolean().optional().describe("a system user, without a home"),
});

/** Line breaks are as `base64` makes them. */
const isBase64 = (text: string) =>
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text.replace(/\s/g, ""));

const WriteFileFields = z.strictObject({
  path: GuestPath,
  content: Text.default(""),
  encoding: z
    .enum(["text", "base64", "gzip+base64"])
    .default("text")
    .describe("of content; base64 for bytes that are no text"),
  permissions: z
    .string()
    .regex(/^0?[0-7]{3,4}$/, 'must be octal, such as "0644"')
    .optional()
    .describe("0644 unless given"),
  owner: z
    .string()
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/,
      'must be "user" or "user:group"',
    )
    .optional()
    .describe("root:root unless given"),
  append: z.boolean().default(false).describe("add to the file that is there"),
  defer: z.boolean().default(false).describe("write it after users and packages are there"),
});

export const WriteFile = WriteFileFields.refine(
  ({ encoding, content }) => encoding === "text" || isBase64(content),
  { path: ["content"], error: "must be base64, as encoding says" },
);

/** A line for `sh`, or the words of a program's argv. */
export const RunCommand = z.union([Text.min(1), z.array(Text).min(1).max(1000)]);

export const Package = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9.+:_~=*/-]*$/, "must be a package name")
  .max(255);
