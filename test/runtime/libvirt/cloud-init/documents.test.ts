/** The files of a seed: what cloud-init is told, by whom, and which secrets are in it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { seedFiles } from "../../../../runtime/libvirt/cloud-init/documents.ts";
import { flowYaml } from "../../../../runtime/libvirt/cloud-init/flow-yaml.ts";
import { fillIn, hashShared } from "../../../../runtime/libvirt/cloud-init/placeholders.ts";
import { CloudInit, CloudInitTemplate } from "../../../../runtime/libvirt/cloud-init/schema.ts";

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
const KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJxNnX2oJY9rZr5t0Gmb3wAvYl7mOr6o0hZxwVnqT4o5 ada@example";

function seed(input: object, domain = "web") {
  const files = seedFiles(CloudInit.parse(input), domain, UUID);
  const texts = files.map(({ name, content }) => [name, Buffer.from(content).toString()]);
  const text: Record<string, string> = Object.fromEntries(texts);
  const config = () => {
    const { "user-data": userData = "" } = text;
    expect(userData.startsWith("#cloud-config\n")).toBe(true);
    return JSON.parse(userData.slice(userData.indexOf("\n")));
  };
  return { text, config, meta: () => JSON.parse(`${text["meta-data"]}`) };
}

test("without a field: an instance of its own, named like its domain", () => {
  const { text, config, meta } = seed({});
  expect(Object.keys(text)).toEqual(["user-data", "meta-data"]);
  expect(config()).toEqual({});
  expect(meta()).toEqual({ "instance-id": UUID, "local-hostname": "web" });
  expect(seed({}, "web.example.org").meta()).toMatchObject({ "local-hostname": "web.example.org" });
  expect(seed({}, "a name with spaces").meta()).toEqual({ "instance-id": UUID });
});

test("the convenient fields become a cloud-config", () => {
  const { config, meta } = seed({
    hostname: "w",
    fqdn: "w.example.org",
    ssh_authorized_keys: [KEY],
    users: [
      { name: "ada", sudo: true, home: "/h" },
      { name: "bob", sudo: false },
    ],
    packages: ["nginx"],
    run_commands: ["date", ["touch", "a b"]],
    write_files: [
      { path: "/a", content: "x", permissions: "644" },
      { path: "/b", content: "eA==", encoding: "base64", append: true, defer: true, owner: "a:b" },
    ],
    meta_data: { more: 1 },
  });
  expect(config()).toEqual({
    hostname: "w",
    fqdn: "w.example.org",
    prefer_fqdn_over_hostname: false,
    users: [
      "default",
      { name: "ada", sudo: "ALL=(ALL) NOPASSWD:ALL", homedir: "/h", lock_passwd: true },
      { name: "bob", lock_passwd: true },
    ],
    ssh_authorized_keys: [KEY],
    packages: ["nginx"],
    runcmd: ["date", ["touch", "a b"]],
    write_files: [
      { path: "/a", content: "x", permissions: "0644" },
      { path: "/b", content: "eA==", encoding: "base64", append: true, defer: true, owner: "a:b" },
    ],
  });
  expect(meta()).toEqual({
    "instance-id": UUID,
    "local-hostname": "w.example.org",
    "public-keys": [KEY],
    more: 1,
  });
});

test("users alone: the image's default user is not made", () => {
  expect(seed({ users: [{ name: "ada" }] }).config().users).toEqual([
    { name: "ada", lock_passwd: true },
  ]);
});

test("passwords go in as hashes", () => {
  const input = { password: "hunter2", users: [{ name: "ada", password: "hunter3" }] };
  const { text, config } = seed(input);
  expect(JSON.stringify(text)).not.toMatch(/hunter/);
  const { password, chpasswd, users } = config();
  expect(password).toMatch(/^\$6\$[./A-Za-z0-9]{16}\$[./A-Za-z0-9]{86}$/);
  expect(chpasswd).toEqual({ expire: false });
  expect(users[1]).toMatchObject({ name: "ada", lock_passwd: false });
  expect(users[1].passwd).toMatch(/^\$6\$/);
  const hash = "$y$j9T$abc$def";
  expect(seed({ password: hash }).config().password).toBe(hash);
});

test("user-data, vendor-data and the network go in as they are", () => {
  const user_data = "#!/bin/sh\necho '{{name}}' Grüße\n";
  const network = { ethernets: { e: { dhcp4: true } } };
  const { text, meta } = seed({ user_data, vendor_data: "x", network, hostname: "h" });
  expect(text["user-data"]).toBe(user_data);
  expect(text["vendor-data"]).toBe("x");
  expect(JSON.parse(`${text["network-config"]}`)).toEqual({ version: 2, ...network });
  expect(meta()["local-hostname"]).toBe("h");
});

describe("YAML", () => {
  test("any text is ASCII, and what JSON and YAML read alike, but for characters beyond U+FFFF", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (content) => {
        const text = flowYaml({ content });
        expect(text).toMatch(/^[\n\x20-\x7e]*$/);
        const json = text.replace(/\\U([0-9a-f]{8})/g, (_, hex) =>
          String.fromCodePoint(Number.parseInt(hex, 16)),
        );
        expect(JSON.parse(json)).toEqual({ content });
      }),
    );
    expect(flowYaml({ a: "😀\u2028\u0085\x7f" })).toBe(
      '{\n  "a": "\\U0001f600\\u2028\\u0085\\u007f"\n}\n',
    );
  });
});

describe("placeholders", () => {
  const values = { name: "web-3", index: 3 };
  test("are replaced in every text", () => {
    const template = CloudInitTemplate.parse({
      hostname: "{{ name }}",
      write_files: [{ path: "/etc/{{name}}", content: "{{index}}{{index}} {{ index }} {{other}}" }],
      meta_data: { list: ["{{name}}", 1, null, true] },
      network: { ethernets: { a: { addresses: ["192.0.2.{{index}}/24"] } } },
    });
    expect(fillIn(template, values)).toMatchObject({
      hostname: "web-3",
      write_files: [{ path: "/etc/web-3", content: "33 3 {{other}}" }],
      meta_data: { list: ["web-3", 1, null, true] },
      network: { ethernets: { a: { addresses: ["192.0.2.3/24"] } } },
    });
  });

  test("what does not fit is an error that names the field and the domain", () => {
    const template = CloudInitTemplate.parse({
      hostname: "{{name}}",
      network: { ethernets: { a: { addresses: ["192.0.2.{{index}}/24"] } } },
    });
    expect(() => fillIn(template, { name: "a b", index: 300 })).toThrow(
      /^cloud_init\.hostname: must be .*; cloud_init\.network\.ethernets\.a\.addresses\.0: must be .*, for domain a b$/s,
    );
    expect(() =>
      fillIn(CloudInitTemplate.parse({ hostname: "w{{index}}" }), { name: "a" }),
    ).toThrow(
      /^cloud_init\.hostname: must be a host name of [^;]*; a name with dots is the fqdn, for domain a$/,
    );
  });

  test("of a domain without a number `{{index}}` stays as it is written", () => {
    const template = CloudInitTemplate.parse({
      run_commands: ["{{ index }} {{index}} {{ name }}"],
    });
    expect(fillIn(template, { name: "a" }).run_commands).toEqual(["{{ index }} {{index}} a"]);
  });

  test("a password that all share is hashed once", () => {
    const user = { name: "a", password: "p-{{name}}" };
    const shared = hashShared(CloudInit.parse({ password: "plain", users: [user, { name: "b" }] }));
    expect(shared.password).toMatch(/^\$6\$/);
    expect(shared.users?.map(({ password }) => password)).toEqual(["p-{{name}}", undefined]);
    expect(hashShared(CloudInit.parse({ packages: [] }))).toEqual({ packages: [] });
  });
});
