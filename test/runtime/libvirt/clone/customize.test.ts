/** What virt-customize is told: each value one line, and no value a command of its own. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Customize, customizeCommands } from "../../../../runtime/libvirt/clone/customize.ts";

const commands = (asked: object) => customizeCommands(Customize.parse(asked));

test("every key becomes its command", () => {
  expect(commands({})).toEqual([]);
  expect(commands({ packages: [], run_commands: [] })).toEqual([]);
  const asked = {
    hostname: "web-1.example.org",
    timezone: "Etc/GMT+3",
    root_password: "p:w d'\"$(x)#",
    ssh_authorized_keys: ["ssh-ed25519 AAAA= a@b", "ssh-rsa BBBB"],
    packages: ["nginx", "libc6:amd64", "g++"],
    run_commands: ["echo 'a; b' >/x && y"],
    first_boot_commands: ["true"],
  };
  expect(commands(asked)).toEqual([
    "hostname web-1.example.org",
    "timezone Etc/GMT+3",
    "root-password password:p:w d'\"$(x)#",
    "install nginx,libc6:amd64,g++",
    "ssh-inject root:string:ssh-ed25519 AAAA= a@b",
    "ssh-inject root:string:ssh-rsa BBBB",
    "run-command echo 'a; b' >/x && y",
    "firstboot-command true",
  ]);
});

const INJECTED = "x\nrun-command touch /evil";
test.each([
  ["hostname", [INJECTED, "a b", "-a", "a-", ".a", "", "a/../b", "a,b", "x".repeat(254)]],
  ["timezone", [INJECTED, "../../etc/passwd", "", "a b", "a;b"]],
  ["root_password", [INJECTED, "", "a\rb", "a\0b", "joins\\", "\u0085", "x".repeat(8193)]],
  ["packages", [[INJECTED], ["a,b"], ["-y"], ["a b"], ["./x.deb"], ["http://x/y.deb"], "nginx"]],
  ["ssh_authorized_keys", [[INJECTED], [""], ["key\\"], ["a\tb"], "key"]],
  ["run_commands", [[INJECTED], ["a\\"], [""], "ls"]],
  ["first_boot_commands", [[INJECTED], ["a\\"], [1]]],
])("%s: what would be another command is refused", (key, values) => {
  for (const value of values)
    expect([value, Customize.safeParse({ [key]: value }).success]).toEqual([value, false]);
});

test.each(["upload", "copy-in", "delete", "script", "host_name", "__proto__x"])(
  "unknown key %s is refused",
  (key) => {
    expect(Customize.safeParse({ [key]: "x" }).success).toBe(false);
  },
);

test("any text that is accepted is one line, which no next line continues", () => {
  const keys = fc.constantFrom("root_password", "hostname", "timezone");
  const lists = fc.constantFrom(
    "ssh_authorized_keys",
    "packages",
    "run_commands",
    "first_boot_commands",
  );
  const text = fc.string({ unit: "binary", maxLength: 20 });
  const asked = fc.oneof(
    fc.tuple(keys, text).map(([key, value]) => ({ [key]: value })),
    fc.tuple(lists, fc.array(text, { minLength: 1 })).map(([key, value]) => ({ [key]: value })),
  );
  fc.assert(
    fc.property(asked, (input) => {
      const parsed = Customize.safeParse(input).data;
      for (const line of parsed ? customizeCommands(parsed) : []) {
        expect(line).toMatch(/^[a-z-]+ [^\n\r\0]*[^\\\n\r\0]$/);
      }
    }),
    { numRuns: 2000 },
  );
});
