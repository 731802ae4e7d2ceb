/** Settings: defaults, what the environment overrides, and mistakes that name their key. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../../runtime/core/config.ts";

const folder = mkdtempSync(join(tmpdir(), "hypersdk-config-"));
const file = join(folder, "it's.toml");
const cwd = process.cwd();
process.chdir(folder); // a hypersdk.toml of the person who runs this must not count
afterAll(() => {
  process.chdir(cwd);
  rmSync(folder, { recursive: true });
});

function load(toml: string, env: Record<string, string> = {}) {
  writeFileSync(file, toml);
  return loadConfig({ HYPERSDK_CONFIG: file, ...env });
}

describe("defaults", () => {
  test("without a file: loopback, and the libvirt of this machine", () => {
    expect(loadConfig({})).toMatchObject({
      host: "127.0.0.1",
      port: 8080,
      default_host: "local",
      hosts: { local: { uri: "qemu:///system" } },
      max_body: 1024 * 1024,
      virsh: { timeout: 30, sessions: 4, queue: 1000, idle: 60 },
    });
  });

  test("an empty file is none", () => {
    expect(load("")).toEqual(loadConfig({}));
  });

  test("hypersdk.toml of the working folder counts", () => {
    writeFileSync(join(folder, "hypersdk.toml"), "port = 1234");
    expect(loadConfig({}).port).toBe(1234);
    expect(load("port = 1235").port).toBe(1235);
    rmSync(join(folder, "hypersdk.toml"));
  });
});

describe("the environment", () => {
  test("HOST and PORT win over the file", () => {
    const config = load('host = "10.0.0.1"\nport = 1', { HOST: "0.0.0.0", PORT: "4000" });
    expect(config).toMatchObject({ host: "0.0.0.0", port: 4000 });
  });

  test("LIBVIRT_DEFAULT_URI is local, unless the file says what local is", () => {
    const env = { LIBVIRT_DEFAULT_URI: "test:///default" };
    expect(load("", env).hosts.local?.uri).toBe("test:///default");
    const toml = '[hosts.local]\nuri = "qemu:///session"';
    expect(load(toml, env).hosts.local?.uri).toBe("qemu:///session");
  });

  test("empty ones are none", () => {
    const env = { HOST: "", PORT: "", LIBVIRT_DEFAULT_URI: "", HYPERSDK_CONFIG: "" };
    expect(loadConfig(env)).toEqual(loadConfig({}));
  });

  test("port 0 is any free one", () => expect(load("", { PORT: "0" }).port).toBe(0));
});

describe("hosts", () => {
  const toml = `default_host = "kvm-1"
[hosts.kvm-1]
uri = "qemu+ssh://root@kvm1:22/system?keyfile=/k"
[hosts."a.b_c"]
uri = "test:///default"
`;
  test("are aliases of libvirt URIs, beside local", () => {
    const { hosts, default_host } = load(toml);
    expect(default_host).toBe("kvm-1");
    expect(Object.keys(hosts).sort()).toEqual(["a.b_c", "kvm-1", "local"]);
  });

  test("default_host must be one of them", () => {
    expect(() => load(toml.replace('"kvm-1"', '"kvm2"'))).toThrow(
      "default_host: no [hosts.kvm2]; there are: kvm-1, a.b_c, local",
    );
  });

  test("default_host is no word of the language", () => {
    expect(() => load('default_host = "constructor"')).toThrow("no [hosts.constructor]");
  });
});

describe("a mistake names the file and the key", () => {
  test.each<[string, string]>([
    ["prot = 1", 'unknown key "prot"'],
    ['port = "http"', "port: "],
    ["port = 65536", "port: "],
    ["port = 1.5", "port: "],
    ["host = 1", "host: "],
    ['host = ""', "host: "],
    ["max_body = 0", "max_body: "],
    ["virsh = 1", "virsh: "],
    ['listen = "/run/x.sock"', "listen: must be a Unix socket"],
    ["[access]\nlocal = 1", "access.local: "],
    ['[access]\ntokens = "tokens.json"', "access.tokens: must be an absolute path"],
    ['[access]\nproxies = ["example.org"]', "access.proxies.0: must be an IP address or a network"],
    ['[cors]\norigins = ["*"]', "cors.origins.0: must be an origin"],
    ['[tls]\ncert = "/x"', "tls.key: required (string)"],
    ["[limits]\nrate = 0", "limits.rate: "],
    ["[limits]\nmax_headers = 100000", "limits.max_headers: "],
    ['[audit]\nfile = "x"', "audit.file: must be an absolute path"],
    ['[images]\nhosts = ["https://a.example"]', "images.hosts.0: must be a host such as"],
    ['[images]\nhosts = ["a.example/b"]', "images.hosts.0: must be a host such as"],
    ['[images]\nhosts = ["*"]', "images.hosts.0: must be a host such as"],
    ['[images]\nprivate = "no"', "images.private: "],
    ['[database]\nurl = "mysql://db"', "database.url: must be a URL such as postgres://"],
    ['[database]\nbinaries = "bin"', "database.binaries: must be an absolute path"],
    ["[virsh]\ntimeout = -1", "virsh.timeout: "],
    ["[virsh]\nsessions = 0", "virsh.sessions: "],
    ["[virsh]\ntimout = 1", 'virsh: unknown key "timout" (allowed in virsh: timeout, sessions'],
    [
      "defualt_host = 'a'",
      'unknown key "defualt_host" (allowed: host, port, listen, default_host, ',
    ],
    [
      "[host.kvm1]\nuri = 'qemu:///system'",
      "host: must be an address; a hypervisor is [hosts.NAME]",
    ],
    ['[hosts]\nkvm1 = "qemu:///system"', "hosts.kvm1: "],
    ["[hosts.kvm1]", "hosts.kvm1.uri: required (string)"],
    ['[hosts.kvm1]\nuri = "kvm1"', "hosts.kvm1.uri: must be a libvirt URI"],
    [
      '[hosts.kvm1]\nuri = "qemu:///system"\nuser = "x"',
      'hosts.kvm1: unknown key "user" (allowed in hosts.kvm1: uri, sudo)',
    ],
    [
      '[hosts.kvm1]\nuri = "qemu:///system"\nsudo = "yes"',
      "hosts.kvm1.sudo: Invalid input: expected boolean",
    ],
    ['[hosts."a b"]\nuri = "qemu:///system"', "hosts.a b: "],
  ])("%j: %s", (toml, text) => {
    expect(() => load(toml)).toThrow(`${file}: ${text}`);
  });

  test("and the line of what is no TOML", () => {
    expect(() => load("port = 1\nhost = \n")).toThrow(/it's\.toml: Invalid TOML[\s\S]*\n2: /);
  });

  test("without the password in a line that it quotes", () => {
    const toml = '[database]\nurl = "postgres://me:geheim@db/x\nbinaries = 1';
    expect(() => load(toml)).toThrow("postgres://***@db/x");
  });

  test("a file that is asked for must be there", () => {
    const path = join(folder, "none.toml");
    expect(() => loadConfig({ HYPERSDK_CONFIG: path })).toThrow(`${path}: ENOENT`);
  });

  test("of the environment too", () => {
    expect(() => loadConfig({ PORT: "http" })).toThrow("port: must be a number");
    for (const PORT of ["70000", "-1", "80.5"]) {
      expect(() => loadConfig({ PORT })).toThrow("environment: port: must be a number, 0 to 65535");
    }
    expect(() => loadConfig({ LISTEN: "/run/x" })).toThrow("environment: listen: must be a Unix");
    const env = { LIBVIRT_DEFAULT_URI: "nonsense" };
    expect(() => loadConfig(env)).toThrow("LIBVIRT_DEFAULT_URI: must be a libvirt URI");
  });
});
