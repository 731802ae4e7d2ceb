import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { namesDatabase } from "../../deploy/database.mjs";
import { findTool } from "../../deploy/find.mjs";
import { namesHosts } from "../../deploy/hypervisor.mjs";
import { isInstalled } from "../../deploy/node-modules.mjs";
import {
  daemonCommands,
  HELPER_TOOLS,
  HYPERVISOR_TOOLS,
  installAdvice,
  installCommands,
  missingTools,
  packageManager,
  STORAGE_TOOLS,
  TEST_TOOLS,
} from "../../deploy/packages.mjs";

const without = (...gone: string[]) =>
  missingTools(TEST_TOOLS, (binary: string) => !gone.includes(binary));

describe("packageManager", () => {
  test.each([
    ['PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n', "apt"],
    ["ID=linuxmint\nID_LIKE='ubuntu debian'\n", "apt"],
    ["VERSION_ID=42\nID=fedora\n", "dnf"],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf"],
    ["ID=arch\n", "pacman"],
    ["ID=alpine\n", "apk"],
    ['ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "zypper"],
    ["ID=void\n", undefined],
    ["ID=constructor\n", undefined],
    ["", undefined],
  ])("%j is %s", (osRelease, manager) => {
    expect(packageManager(osRelease)).toBe(manager);
  });
});

describe("what to install", () => {
  test("nothing, when every tool has one of its binaries", () => {
    expect(without()).toEqual([]);
    expect(without("virtqemud", "qemu-kvm", "nft")).toEqual([]);
  });

  test("each package once, after the last command only", () => {
    expect(installCommands("apt", without("unshare", "setpriv", "http"))).toEqual([
      ["apt-get", "update"],
      ["apt-get", "install", "--yes", "--no-install-recommends", "util-linux", "httpie"],
    ]);
  });

  test("the line to type, with sudo for those who need it", () => {
    const missing = without("virsh", "ip");
    expect(installAdvice("apt", missing, false)).toBe(
      "Not found: virsh, ip. To install:\n" +
        "  sudo apt-get update && sudo apt-get install --yes --no-install-recommends" +
        " libvirt-clients iproute2",
    );
    expect(installAdvice("dnf", missing, true)).toContain("\n  dnf install libvirt-client iproute");
    expect(installAdvice(undefined, missing, true)).toBe(
      "Not found: virsh, ip. Install them with this distribution's package manager.",
    );
  });

  /** Debian's files: 12 has them in libvirt-daemon, 13 in packages of their own. */
  const backend = (name: string, library = "lib/x86_64-linux-gnu") =>
    `/usr/${library}/libvirt/storage-backend/libvirt_storage_backend_${name}.so`;

  test("storage backends that libvirtd brings are not asked for", () => {
    for (const library of ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"]) {
      const there = [backend("disk", library), backend("logical", library)];
      expect(missingTools(STORAGE_TOOLS, (file: string) => there.includes(file))).toEqual([]);
    }
  });

  test.each([
    [[], ["libvirt-daemon-driver-storage-disk", "libvirt-daemon-driver-storage-logical"]],
    [[backend("disk")], ["libvirt-daemon-driver-storage-logical"]],
    [[backend("fs"), backend("logical")], ["libvirt-daemon-driver-storage-disk"]],
  ])("with the storage backends %j, Debian 13 needs %j", (there: string[], packages) => {
    const missing = missingTools(STORAGE_TOOLS, (file: string) => there.includes(file));
    expect(installCommands("apt", missing).at(-1)?.slice(4)).toEqual(packages);
  });

  test("no other list has packages that Debian 12 does not know", () => {
    const own = STORAGE_TOOLS.map(({ apt }) => apt);
    const others = [...HYPERVISOR_TOOLS, ...HELPER_TOOLS, ...TEST_TOOLS];
    expect(others.filter(({ apt }) => own.includes(apt))).toEqual([]);
  });

  test("an Alpine tool may take two packages", () => {
    expect(installCommands("apk", HYPERVISOR_TOOLS.slice(1, 2))).toEqual([
      ["apk", "add", "libvirt-daemon", "libvirt-qemu"],
    ]);
  });
});

test("the daemon starts through systemd where there is one", () => {
  expect(daemonCommands(true, false)).toEqual([["systemctl", "start", "libvirtd"]]);
  expect(daemonCommands(true, true)[0]).toContain("virtqemud.socket");
  expect(daemonCommands(false, false)).toEqual([
    ["virtlogd", "-d"],
    ["libvirtd", "-d"],
  ]);
});

test.each([
  ['[hosts.kvm1]\nuri = "qemu:///system"', true],
  ['hosts.kvm1.uri = "qemu:///system"', true],
  ["hosts = { }", true],
  ["port = 8080\n# [hosts.kvm1]", false],
  ["[hostsfile]", false],
])("a configuration like %j: hosts %s", (toml, expected) => {
  expect(namesHosts(toml)).toBe(expected);
});

test.each([
  ['[database]\nurl = "postgres://db"', true],
  ['[database]\nbinaries = "/x"\n\nurl = "postgres://db"', true],
  ['database.url = "postgres://db"', true],
  ['database = { url = "postgres://db" }', true],
  ['[database]\n# url = "postgres://db"', false],
  ['[database]\nbinaries = "/x"\n[other]\nurl = "x"', false],
  ["", false],
])("a configuration like %j: a database server %s", (toml, expected) => {
  expect(namesDatabase(toml)).toBe(expected);
});

test("a program in one of several folders is found", () => {
  const folder = mkdtempSync(join(tmpdir(), "hypersdk-find-"));
  mkdirSync(join(folder, "15/bin"), { recursive: true });
  writeFileSync(join(folder, "15/bin/postgres"), "");
  expect(findTool(join(folder, "*/bin/postgres"))).toBe(true);
  expect(findTool(join(folder, "*/bin/initdb"))).toBe(false);
  expect(findTool(join(folder, "none/*/bin/postgres"))).toBe(false);
  rmSync(folder, { recursive: true });
});

test("node_modules is compared with the lock file", () => {
  const one = { version: "1.0.0", integrity: "sha512-a" };
  const lock = (extra: object) => ({ packages: { "": {}, "node_modules/one": one, ...extra } });
  const dev = lock({ "node_modules/two": { ...one, dev: true } });
  expect(isInstalled(lock({}), lock({}), true)).toBe(true);
  expect(isInstalled(lock({ "node_modules/one": { version: "1.0.1" } }), lock({}), true)).toBe(
    false,
  );
  expect(isInstalled(lock({ "node_modules/win": { optional: true } }), lock({}), true)).toBe(true);
  expect(isInstalled(dev, lock({}), true)).toBe(false);
  expect(isInstalled(dev, lock({}), false)).toBe(true);
});
