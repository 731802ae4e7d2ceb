/** The field cloud_init: what it takes, and that each bad input is named. */
import { describe, expect, test } from "vitest";
import { inputError } from "../../../../runtime/core/errors.ts";
import { CloudInit, CloudInitTemplate } from "../../../../runtime/libvirt/cloud-init/schema.ts";

/** Keys that ssh-keygen has made. */
const KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJxNnX2oJY9rZr5t0Gmb3wAvYl7mOr6o0hZxwVnqT4o5 ada@example";
const [, BLOB] = KEY.split(" ");

const refusal = (input: object) => {
  const parsed = CloudInit.safeParse(input);
  return parsed.success ? undefined : inputError(parsed.error).message;
};

test("takes all of it", () => {
  const input = {
    hostname: "web-1",
    fqdn: "web-1.example.org",
    users: [
      {
        name: "ada",
        gecos: "Ada Lovelace",
        password: "secret: word",
        ssh_authorized_keys: [KEY, `no-pty,command="/bin/ls -l" ${KEY}`],
        groups: ["sudo"],
        sudo: true,
        shell: "/bin/bash",
        uid: 1500,
        home: "/home/ada",
      },
    ],
    ssh_authorized_keys: [KEY],
    password: "$6$saltsalt$abc/def.",
    packages: ["nginx", "libc6=2.36-9", "python3.11"],
    write_files: [
      { path: "/etc/motd", content: "Grüße\n\t😀\r\n", permissions: "0600", owner: "root:adm" },
      { path: "/opt/a b", content: "aGk=", encoding: "base64", append: true, defer: true },
    ],
    run_commands: ["echo hi > /x", ["touch", "/a b"]],
    network: {
      version: 2,
      ethernets: {
        all: {
          match: { name: "e*" },
          addresses: ["192.0.2.7/24", "2001:db8::7/64"],
          routes: [{ to: "default", via: "192.0.2.1" }],
          nameservers: { addresses: ["192.0.2.1"], search: ["example.org"] },
        },
      },
      bonds: { bond0: { interfaces: ["a", "b"] } },
    },
    meta_data: { "public-hostname": "x", tags: ["a"] },
    vendor_data: "#cloud-config\n{}\n",
  };
  expect(refusal(input)).toBeUndefined();
  expect(refusal({})).toBeUndefined();
  const own = { user_data: "#!/bin/sh\necho hi\n", hostname: "a", ssh_authorized_keys: [KEY] };
  expect(refusal({ ...own, fqdn: "a.b", network: {}, meta_data: {}, vendor_data: "x" })).toBe(
    undefined,
  );
});

describe("refuses", () => {
  test.each([
    [{ hostname: "" }, "hostname: must be a host name of 1 to 63"],
    [{ hostname: "a.b" }, "hostname: must be a host name"],
    [{ hostname: "a_b" }, "hostname: must be"],
    [{ hostname: "-a" }, "hostname: must be"],
    [{ hostname: "a".repeat(64) }, "hostname: must be"],
    [{ hostname: "{{name}}" }, "hostname: must be"],
    [{ hostname: "a\nb" }, "hostname: must be"],
    [{ fqdn: "web" }, "fqdn: must be a host name with its domain"],
    [{ fqdn: Array(5).fill("a".repeat(60)).join(".") }, "fqdn: must be"],
    [{ users: [{ name: "a b" }] }, "users.0.name: must be a user name"],
    [{ users: [{ name: "ada" }, { name: "ada" }] }, "users.1.name: must not be named twice"],
    [{ users: [{ name: "ada", gecos: "a:b" }] }, 'users.0.gecos: must not contain ":"'],
    [{ users: [{ name: "ada", shell: "bash" }] }, "users.0.shell: must be an absolute path"],
    [{ users: [{ name: "ada", password: "a\nb" }] }, "users.0.password: must be one line"],
    [{ users: [{ name: "ada", passwd: "a" }] }, 'users.0: unknown key "passwd"'],
    [{ users: [{ name: "ada", uid: 0 }] }, "users.0.uid: "],
    [{ users: {} }, "users: "],
    [{ password: "" }, "password: must not be empty"],
    [{ password: "a\0b" }, "password: must be one line"],
    [{ ssh_authorized_keys: ["hello"] }, "ssh_authorized_keys.0: must be a public SSH key"],
    [
      { ssh_authorized_keys: ["-----BEGIN OPENSSH PRIVATE KEY-----"] },
      "ssh_authorized_keys.0: must be a public SSH key",
    ],
    [{ ssh_authorized_keys: [`ssh-rsa ${BLOB}`] }, "ssh_authorized_keys.0: must be a public"],
    [{ ssh_authorized_keys: ["ssh-ed25519 AAAA"] }, "ssh_authorized_keys.0: must be a public"],
    [{ ssh_authorized_keys: [`${KEY}\n${KEY}`] }, "ssh_authorized_keys.0: must be one line"],
    [{ packages: ["-y"] }, "packages.0: must be a package name"],
    [{ packages: ["a; rm -rf /"] }, "packages.0: must be a package name"],
    [{ write_files: [{ path: "etc/motd" }] }, "write_files.0.path: must be an absolute path"],
    [{ write_files: [{ path: "/a/../b" }] }, "write_files.0.path: must be an absolute path"],
    [{ write_files: [{ path: "/" }] }, undefined],
    [
      { write_files: [{ path: "/a", permissions: "rw-r--r--" }] },
      'write_files.0.permissions: must be octal, such as "0644"',
    ],
    [{ write_files: [{ path: "/a", permissions: "0888" }] }, "write_files.0.permissions: "],
    [{ write_files: [{ path: "/a", owner: "a:b:c" }] }, "write_files.0.owner: must be"],
    [{ write_files: [{ path: "/a", content: "\0" }] }, "write_files.0.content: must be text"],
    [{ write_files: [{ path: "/a", encoding: "b64" }] }, "write_files.0.encoding: "],
    [
      { write_files: [{ path: "/a", encoding: "base64", content: "no base64!" }] },
      "write_files.0.content: must be base64",
    ],
    [
      { write_files: [{ path: "/a", encoding: "gzip+base64", content: "H4s" }] },
      "write_files.0.content: must be base64",
    ],
    [{ write_files: [{ path: "/a", encoding: "base64", content: "aGVs\nbG8=\n" }] }, undefined],
    [{ run_commands: [[]] }, "run_commands.0: "],
    [{ run_commands: [1] }, "run_commands.0: "],
    [{ network: { version: 1 } }, "network.version: "],
    [
      { network: { ethernets: { a: { addresses: ["192.0.2.7"] } } } },
      "network.ethernets.a.addresses.0: must be an IP address with its prefix",
    ],
    [
      { network: { ethernets: { a: { addresses: ["1.2/8"] } } } },
      "network.ethernets.a.addresses.0: ",
    ],
    [
      { network: { ethernets: { a: { gateway4: "x" } } } },
      "network.ethernets.a.gateway4: must be an IP address",
    ],
    [
      { network: { ethernets: { a: { routes: [{ to: "all" }] } } } },
      "network.ethernets.a.routes.0.to: must be a network",
    ],
    [{ network: { ethernets: { a: { dhcp: true } } } }, 'network.ethernets.a: unknown key "dhcp"'],
    [
      { network: { ethernets: { a: { match: { macaddress: "x" } } } } },
      "network.ethernets.a.match.macaddress: must be a MAC",
    ],
    [{ network: "version: 2" }, "network: "],
    [{ user_data: 7 }, "user_data: Invalid input: expected string, received number"],
    [{ user_data: { packages: [] } }, "user_data: Invalid input: expected string"],
    [{ user_data: "" }, "user_data: must not be empty"],
    [{ user_data: "\x1f\x8b\x08\0" }, "user_data: must be text, without NUL"],
    [{ user_data: "a\ud800" }, "user_data: must be text"],
    [{ user_data: "x".repeat(2 ** 20 + 1) }, "user_data: must be at most 1 MiB"],
    [
      { user_data: "#!/bin/sh", packages: ["a"], password: "b" },
      "user_data: goes to the guest unread, so that password, packages cannot be added",
    ],
    [{ vendor_data: "\0" }, "vendor_data: must be text"],
    [{ meta_data: "a: b" }, "meta_data: "],
    [{ meta_data: { "instance-id": "x" } }, "meta_data.instance-id: is the domain's UUID"],
    [
      { meta_data: { "local-hostname": "x" } },
      "meta_data.local-hostname: has its own field, hostname or fqdn",
    ],
    [{ ssh_keys: [] }, 'unknown key "ssh_keys"'],
  ])("%j: %s", (input, message) => {
    if (message === undefined) expect(refusal(input)).toBeUndefined();
    else expect(refusal(input)).toContain(message);
  });
});

test("a template's texts may have placeholders, where they make a sound text", () => {
  const taken = (input: object) => CloudInitTemplate.safeParse(input).success;
  expect(taken({ hostname: "{{name}}", fqdn: "{{name}}.example.org" })).toBe(true);
  expect(taken({ hostname: "web{{index}}" })).toBe(true);
  expect(taken({ hostname: "{{ name }}" })).toBe(true);
  expect(taken({ hostname: "{{ other }}" })).toBe(false);
  const addresses = (address: string) => ({
    network: { ethernets: { a: { addresses: [address] } } },
  });
  expect(taken(addresses("192.0.2.{{index}}/24"))).toBe(true);
  expect(taken(addresses("192.0.2.{{name}}/24"))).toBe(false);
});
