/** The verdict about the certificates of a migration with TLS, from the files of the two sides. */
import { expect, test } from "vitest";
import { checkTls } from "../../../../runtime/libvirt/migrate/check-tls.ts";
import type { Sides } from "../../../../runtime/libvirt/migrate/sides.ts";

const CONFIG = "/etc/libvirt/qemu.conf";
const SERVER = ["ca-cert.pem", "server-cert.pem", "server-key.pem"];
const CLIENT = ["ca-cert.pem", "client-cert.pem", "client-key.pem"];
const at = (folder: string, names: string[]) =>
  Object.fromEntries(names.map((name) => [`${folder}/${name}`, ""]));

/** `files`: their contents by path; undefined for one that the login may not read. */
const ctx = (host: string, files: Record<string, string | undefined>) => ({
  host,
  async exec([program = "", ...words]: string[]) {
    const path = `${words.at(-1)}`;
    const isThere = Object.keys(files).some((file) => file === path || file.startsWith(`${path}/`));
    const refused = { stdout: "", stderr: `${program}: ${path}: Permission denied\n`, exitCode: 1 };
    const missing = { ...refused, stderr: `${program}: ${path}: No such file or directory\n` };
    if (!isThere) return missing;
    if (program === "cat" && files[path] === undefined) return refused;
    return { stdout: files[path] ?? "", stderr: "", exitCode: 0 };
  },
});

async function look(
  source: Record<string, string | undefined>,
  target: Record<string, string | undefined>,
  route = { live: true, tls: true },
) {
  const sides = { source: ctx("a", source), target: ctx("b", target), route };
  const checks = await checkTls(sides as unknown as Sides);
  return checks.map(({ status, message }) => `${status} ${message}`);
}

const PASS = expect.stringMatching(/^pass /);

test("nothing is looked at without tls", async () => {
  expect(await look({}, {}, { live: true, tls: false })).toEqual([]);
});

test("each side's folder, and what is missing there", async () => {
  expect(await look({}, {})).toEqual([
    "fail QEMU of a has no ca-cert.pem, client-cert.pem, client-key.pem in /etc/pki/qemu",
    "fail QEMU of b has no ca-cert.pem, server-cert.pem, server-key.pem in /etc/pki/qemu",
  ]);
  const good = [at("/etc/pki/qemu", CLIENT), at("/etc/pki/qemu", SERVER)] as const;
  expect(await look(...good)).toEqual([
    "pass a has certificates for QEMU in /etc/pki/qemu",
    "pass b has certificates for QEMU in /etc/pki/qemu",
  ]);
});

test.each([
  ['migrate_tls_x509_cert_dir = "/m"\ndefault_tls_x509_cert_dir = "/d"', "/m"],
  ['#migrate_tls_x509_cert_dir = "/m"\n default_tls_x509_cert_dir="/d" # here', "/d"],
  ['migrate_tls_x509_cert_dir = "/old"\nmigrate_tls_x509_cert_dir = "/m"', "/m"],
])("%j: %s", async (config, folder) => {
  const target = { [CONFIG]: config, ...at(folder, SERVER) };
  expect((await look({}, target))[1]).toBe(`pass b has certificates for QEMU in ${folder}`);
});

test("libvirt's own folder goes before that of all connections", async () => {
  const config = { [CONFIG]: 'default_tls_x509_cert_dir = "/d"' };
  const target = { ...config, ...at("/etc/pki/libvirt-migrate", SERVER) };
  expect((await look({}, target))[1]).toEqual(PASS);
});

test("a target that asks for no certificate needs none of the source", async () => {
  const target = { [CONFIG]: "default_tls_x509_verify = 0\n", ...at("/etc/pki/qemu", SERVER) };
  const source = at("/etc/pki/qemu", ["ca-cert.pem"]);
  expect(await look(source, target)).toEqual([PASS, PASS]);
  expect((await look(source, at("/etc/pki/qemu", SERVER)))[0]).toMatch(/^fail .* client-cert/);
});

test("what the login may not read is not taken for missing", async () => {
  const [verdict] = await look({ [CONFIG]: undefined }, {});
  expect(verdict).toMatch(/^warning a: \/etc\/libvirt\/qemu.conf cannot be read/);
});
