/** virsh's words become codes, whatever the names in them; what is wrong with an input is a sentence. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { type ErrorCode, HyperError, inputError, STATUS } from "../../../runtime/core/errors.ts";
import { virshError, virshMessages } from "../../../runtime/hypervisor/virsh-errors.ts";

/** The texts of virsh-facts, sections 4, 6 and 9; a line break begins the next `error: `. */
const SAID: [ErrorCode, string][] = [
  ["not_found", "failed to get domain 'x'"],
  ["not_found", "failed to get network 'x'\nNetwork not found: no network with matching name 'x'"],
  [
    "not_found",
    "failed to get pool 'x'\nStorage pool not found: no storage pool with matching name 'x'",
  ],
  [
    "not_found",
    "failed to get vol 'x'\nStorage volume not found: no storage vol with matching path 'x'",
  ],
  ["not_found", "Domain snapshot not found: no domain snapshot with matching name 'x'"],
  ["not_found", "Domain not found: no domain with matching name 'x'"],
  [
    "not_found",
    "No interface with MAC address 52:54:00:00:00:01 was found\nFailed to detach interface",
  ],
  ["not_found", "interface '52:54:00:00:00:01' not found"],
  ["not_found", "No disk found whose source path or target is vdz"],
  [
    "already_exists",
    "operation failed: domain 'x' already exists with uuid 6695eb01-f6a4-8304-79aa-97f2502e193f",
  ],
  ["already_exists", "operation failed: network 'x' already exists with uuid 6695eb01"],
  ["already_exists", "operation failed: pool 'x' already exists with uuid 6695eb01"],
  ["already_exists", "storage volume 'x' exists already"],
  ["already_exists", "operation failed: domain moment s0 already exists"],
  ["already_exists", "bridge name 'virbr1' already in use."],
  ["in_use", "internal error: Network is already in use by interface virbr1"],
  ["in_use", 'Failed to get "write" lock'],
  ["already_active", "Failed to start domain 'x'\nDomain is already active"],
  ["already_active", "Requested operation is not valid: network is already active"],
  ["already_active", "Requested operation is not valid: storage pool 'x' is already active"],
  ["already_active", "Requested operation is not valid: domain is already running"],
  ["already_active", "Network 'tn' is already running"],
  ["not_active", "Requested operation is not valid: domain is not running"],
  [
    "not_active",
    "Failed to destroy network x\nRequested operation is not valid: network 'x' is not active",
  ],
  ["not_active", "Requested operation is not valid: storage pool 'x' is not active"],
  ["invalid_input", "invalid argument: model must be one of these"],
  ["invalid_input", "Numeric value 'abc' for <count> option is malformed or out of range"],
  ["invalid_input", "XML error: Invalid IPv4 address '1.2.3'"],
  ["virsh_failed", "(domain_definition):1: Extra content at the end of the document"],
  ["unreachable", "Failed to list domains\nCannot recv data: Connection reset by peer"],
  ["unreachable", "Disconnected from qemu:///system due to end of file\nfailed to get domain 'x'"],
  [
    "unreachable",
    "Failed to reconnect to the hypervisor\nFailed to connect socket to '/run/x': Connection refused",
  ],
  ["unreachable", "internal error: connection closed due to keepalive timeout"],
  ["unreachable", "failed to connect to the hypervisor\nno connection driver available"],
  ["unreachable", "End of file while reading data: Input/output error"],
  [
    "permission_denied",
    "failed to connect to the hypervisor\nFailed to connect socket to '/run/x': Permission denied",
  ],
  ["permission_denied", "operation forbidden: read only access prevents virDomainDestroy"],
  ["permission_denied", "authentication failed: access denied by policy"],
  ["no_space", "cannot allocate 4096 bytes in file '/pool/x': No space left on device"],
  ["no_space", "cannot extend file '/pool/x': File too large"],
  [
    "timed_out",
    "Timed out during operation: cannot acquire state change lock (held by monitor=remoteDispatchDomainMemoryStats)",
  ],
  ["virsh_failed", "Guest agent is not responding: QEMU guest agent is not connected"],
  ["unsupported", "this function is not supported by the connection driver: virDomainAttachDevice"],
  ["unsupported", "unsupported flags (0x10) in function testDomainSnapshotCreateXML"],
  ["unsupported", "Operation not supported: persistent device detach is not supported"],
  ["unsupported", "unsupported configuration: no graphics"],
  ["virsh_failed", "internal error: something that nobody has seen"],
];

describe("virshError", () => {
  test.each(SAID)("%s: %j", (code, said) => {
    const { code: found, message } = virshError(said.split("\n"), "dominfo");
    expect(found).toBe(code);
    expect(message).toContain(
      said
        .split("\n")
        .at(-1)
        ?.replace(/^failed to.*/i, ""),
    );
  });

  /** Words of every kind, as an attacker would name a domain. */
  const NAMES = [
    "Permission denied",
    "Network not found: ",
    "x' already exists",
    "is not active",
    "'; Disconnected from qemu:///system due to",
    "No space left on device",
    'it\'s "quoted"',
    "failed to get domain 'y'",
  ];
  test.each(NAMES)("the name %j changes no code", (name) => {
    for (const [code, said] of SAID.filter(([, text]) => text.includes("'x'"))) {
      const words = said.replaceAll("'x'", `'${name}'`).split("\n");
      expect(virshError(words, "dominfo").code, said).toBe(code);
    }
  });

  test("no name at all changes a code", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        fc.pre(!/[\p{Cc}\u2028\u2029]/u.test(name));
        const words = `failed to get network '${name}'\nNetwork not found: no network '${name}'`;
        expect(virshError(words.split("\n"), "net-info").code).toBe("not_found");
        const active = `Requested operation is not valid: network '${name}' is not active`;
        expect(virshError([active], "net-destroy").code).toBe("not_active");
      }),
    );
  });

  test("the reason is said before the general words, and these when there is no other", () => {
    const reason = "Requested operation is not valid: network is already active";
    for (const order of [
      ["Failed to start network x", reason],
      [reason, "Failed to start network x"],
    ]) {
      expect(virshError(order, "net-start").message).toBe(reason);
    }
    expect(virshError(["failed to get domain 'x'"], "dominfo").message).toMatch(/^\w.*'x'/);
    expect(virshError([], "dominfo").message).toBe("virsh dominfo failed without saying why");
  });
});

test("virshMessages: `error: ` begins a message of one or many lines", () => {
  const stderr =
    "setlocale: no\nerror: failed to define\nerror: (x):1: bad\n<a\n--^\nsee error: there\nerror: \n";
  expect(virshMessages(stderr)).toEqual([
    "failed to define",
    "(x):1: bad\n<a\n--^\nsee error: there",
  ]);
  expect(virshMessages("")).toEqual([]);
});

describe("STATUS", () => {
  test("every code is an error status, and only the reference's where it speaks", () => {
    for (const [code, status] of Object.entries(STATUS)) {
      expect(status, code).toBeGreaterThanOrEqual(400);
      expect(new HyperError(code as ErrorCode, "text").status).toBe(status);
    }
    const codes = (wanted: number) =>
      Object.entries(STATUS).flatMap(([code, status]) => (status === wanted ? [code] : []));
    expect(codes(400)).toEqual(["invalid_input"]);
    expect(codes(404)).toEqual(["not_found"]);
    expect(codes(405)).toEqual(["method_not_allowed"]);
    expect(codes(503)).toContain("unreachable");
    expect(codes(504)).toContain("timed_out");
  });

  test("every code that virsh's words can mean is in the table", () => {
    for (const [code] of SAID) expect(STATUS).toHaveProperty(code);
  });
});

describe("inputError", () => {
  const Input = z.strictObject({
    name: z.string().min(1, "must not be empty"),
    count: z.int().max(3).optional(),
    disks: z.array(z.strictObject({ size: z.number() })).optional(),
    size: z.union([z.number(), z.string().min(1, "must not be empty")]).default(1),
    pair: z.strictObject({ one: z.union([z.number(), z.string()]) }).optional(),
    limit: z.union([z.number().max(9), z.strictObject({ count: z.int() })]).optional(),
  });
  test.each<[unknown, string]>([
    [{}, "name: required (string)"],
    [{ name: 7 }, "name: Invalid input: expected string, received number"],
    [{ name: "" }, "name: must not be empty"],
    [{ name: "a", nmae: 1 }, 'unknown key "nmae"'],
    [{ name: "a", x: 1, 'y"': 2 }, 'unknown keys "x", "y\\""'],
    [{ name: "a", disks: [{ size: 1 }, {}] }, "disks.1.size: required (number)"],
    [{ name: "a", disks: [{ size: 1, sise: 2 }] }, 'disks.0: unknown key "sise"'],
    [{ count: 4 }, "name: required (string); count: Too big: expected number to be <=3"],
    [{ name: "a", pair: {} }, "pair.one: required (number or string)"],
    [{ name: "a", size: true }, "size: Invalid input: expected number or string, received boolean"],
    [{ name: "a", size: "" }, "size: must not be empty"],
    [{ name: "a", limit: {} }, "limit.count: required (number)"],
    [{ name: "a", limit: { count: 1, x: 2 } }, 'limit: unknown key "x"'],
    [{ name: "a", limit: 10 }, "limit: Too big: expected number to be <=9"],
    [[], "Invalid input: expected object, received array"],
  ])("%j: %s", (input, text) => {
    const error = inputError(Input.safeParse(input).error as z.ZodError);
    expect(error).toMatchObject({ code: "invalid_input", status: 400, message: text });
    const issues = error.details.issues as { path: string; message: string }[];
    expect(
      issues.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; "),
    ).toBe(text);
  });
});
