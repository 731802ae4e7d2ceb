/** The verdicts about a migration, each from what libvirt says on the two sides. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import type { Outcome } from "../../../../runtime/hypervisor/outcomes.ts";
import { assertPossible, checked, fail, pass } from "../../../../runtime/libvirt/migrate/check.ts";
import {
  checkNames,
  checkPassthrough,
  checkSecrets,
  checkSnapshots,
  checkState,
} from "../../../../runtime/libvirt/migrate/check-domain.ts";
import {
  checkMachine,
  checkMemory,
  checkVersions,
} from "../../../../runtime/libvirt/migrate/check-host.ts";
import { checkNetworks } from "../../../../runtime/libvirt/migrate/check-networks.ts";
import type { Sides } from "../../../../runtime/libvirt/migrate/sides.ts";
import { Route } from "../../../../runtime/libvirt/migrate/wish.ts";
import { parseXml } from "../../../../runtime/libvirt/xml.ts";
import { answering } from "../../../fixtures/fake.ts";

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
const MISSING = new HyperError("not_found", "not found");
const OS = "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>";

type Answers = Record<string, Outcome | ((...words: string[]) => Outcome)>;

function ctx(host: string, answers: Answers) {
  const fake = answering((verb, ...words) => {
    const answer = answers[verb] ?? "";
    return typeof answer === "function" ? answer(...words) : answer;
  });
  const exec = async (argv: string[]) => {
    const isThere = argv.at(-1)?.endsWith("/br0");
    const stderr = isThere ? "" : `ls: ${argv.at(-1)}: No such file or directory\n`;
    return { stdout: "", stderr, exitCode: isThere ? 0 : 2 };
  };
  return { ...fake, exec, host, uri: `qemu+ssh://${host}/system` };
}

interface Given {
  source?: Answers;
  target?: Answers;
  live?: boolean;
  [field: string]: unknown;
}

function sides(
  xml: string,
  { source = {}, target = {}, live = false, ...more }: Given = {},
): Sides {
  const text = `<domain type='kvm'><name>vm</name>${xml}</domain>`;
  return {
    ...{ name: "vm", uuid: UUID, state: "shut off", active: live, persistent: true },
    ...{ autostart: false, hasSavedState: false, text, domain: parseXml(text, "domain") },
    ...{ source: ctx("a", source), target: ctx("b", target) },
    route: Route.parse({ name: "vm", to: "b", live, copy_storage: "all" }),
    ...more,
  } as unknown as Sides;
}

const verdicts = (checks: { item: string; status: string }[]) =>
  checks.map(({ item, status }) => `${item} ${status}`);

test.each([
  [{}, "pass"],
  [{ hasSavedState: true }, "fail"],
  [{ active: true, state: "running" }, "fail"],
  [{ live: true, active: false }, "fail"],
  [{ live: true, active: true }, "pass"],
  [{ persistent: false }, "fail"],
])("state: %j is %s", async (more, status) => {
  expect(verdicts(await checkState(sides("", more)))).toEqual([`state ${status}`]);
});

test("names: a name or a UUID that is taken", async () => {
  const list = (rows: string) => checkNames(sides("", { target: { list: rows } }));
  expect(verdicts(await list(""))).toEqual(["name pass", "uuid pass"]);
  expect(verdicts(await list(`${UUID} other\n`))).toEqual(["name pass", "uuid fail"]);
  const other = UUID.replace("3", "4");
  expect(verdicts(await list(`${other} vm\n`))).toEqual(["name fail", "uuid pass"]);
});

describe("snapshots", () => {
  const snapshot = (kind: string) =>
    `<domainsnapshot><name>s</name><disks><disk name='vda' snapshot='${kind}'/></disks></domainsnapshot>`;
  const having = (kind: string, live = false) =>
    checkSnapshots(
      sides("", { live, source: { "snapshot-list": "s\n", "snapshot-dumpxml": snapshot(kind) } }),
    );
  test("internal ones move with a domain that is off alone", async () => {
    expect(verdicts(await checkSnapshots(sides("")))).toEqual(["snapshots pass"]);
    expect(verdicts(await having("internal"))).toEqual(["snapshots pass"]);
    expect(verdicts(await having("internal", true))).toEqual(["snapshots fail"]);
    expect(verdicts(await having("external"))).toEqual(["snapshots fail"]);
  });
  test("checkpoints do not; a driver without them has none", async () => {
    const list = (answer: Outcome) =>
      checkSnapshots(sides("", { source: { "checkpoint-list": answer } }));
    expect(verdicts(await list("c\n"))).toEqual(["snapshots fail"]);
    const none = new HyperError("unsupported", "not supported");
    expect(verdicts(await list(none))).toEqual(["snapshots pass"]);
  });
});

test.each([
  ["", false, "pass"],
  ["<hostdev mode='subsystem' type='pci'/>", false, "warning"],
  ["<hostdev mode='subsystem' type='pci'/>", true, "fail"],
  ["<interface type='hostdev'/>", true, "fail"],
  ["<interface type='network'/>", true, "pass"],
  ["<filesystem type='mount'/>", true, "fail"],
  ["<memory model='dimm'/>", true, "pass"],
  ["<memory model='nvdimm'/>", true, "fail"],
])("passthrough: %s live %s is %s", async (device, live, status) => {
  const checks = await checkPassthrough(sides(`<devices>${device}</devices>`, { live }));
  expect(verdicts(checks)).toEqual([`passthrough ${status}`]);
});

test("secrets are never sent, so the target must have them", async () => {
  const disk = `<devices><disk><source file='/a'><encryption format='luks'><secret type='passphrase' uuid='${UUID}'/></encryption></source></disk></devices>`;
  const missing = await checkSecrets(sides(disk, { target: { "secret-dumpxml": MISSING } }));
  expect(missing).toEqual([fail("secrets", `b has no secret ${UUID}; define it there first`)]);
  expect(verdicts(await checkSecrets(sides(disk)))).toEqual(["secrets pass"]);
  expect(await checkSecrets(sides(""))).toEqual([]);
});

test("networks: active, not active, missing, bridges and devices", async () => {
  const nic = (type: string, source: string) =>
    `<interface type='${type}'><source ${source}/></interface>`;
  const look = async (inner: string, info: Outcome = "Active: yes\n", live = true) =>
    verdicts(
      await checkNetworks(
        sides(`<devices>${inner}</devices>`, { live, target: { "net-info": info } }),
      ),
    );
  const lan = nic("network", "network='lan'");
  expect(await look("")).toEqual(["network pass"]);
  expect(await look(lan)).toEqual(["network pass"]);
  expect(await look(lan, "Active: no\n")).toEqual(["network fail"]);
  expect(await look(lan, "Active: no\n", false)).toEqual(["network warning"]);
  expect(await look(lan, MISSING)).toEqual(["network fail"]);
  expect(await look(nic("bridge", "bridge='br0'"))).toEqual(["network pass"]);
  expect(await look(nic("bridge", "bridge='br9'"))).toEqual(["network fail"]);
  expect(await look(nic("direct", "dev='eth9'"))).toEqual(["network fail"]);
  expect(await look(nic("vhostuser", ""))).toEqual(["network warning"]);
});

test("versions: an older QEMU takes no running guest", async () => {
  const version = (libvirt: string, qemu: string) => ({
    version: `Running hypervisor: QEMU ${qemu}\nRunning against daemon: ${libvirt}\n`,
  });
  const look = async (from: [string, string], to: [string, string], live = true) => {
    const answers = { source: version(...from), target: version(...to), live };
    return verdicts(await checkVersions(sides("", answers)));
  };
  const [old, recent] = [
    ["9.0.0", "7.2.22"],
    ["11.3.0", "10.0.2"],
  ] as [string, string][];
  expect(await look(old as never, recent as never)).toEqual(["libvirt pass", "qemu pass"]);
  expect(await look(recent as never, old as never)).toEqual(["libvirt warning", "qemu fail"]);
  expect(await look(recent as never, old as never, false)).toEqual([
    "libvirt warning",
    "qemu warning",
  ]);
  expect(await look(["9.0.0", "7.2.22"], ["9.0.0", "7.2.1"])).toEqual([
    "libvirt pass",
    "qemu pass",
  ]);
});

test("an older libvirt is asked what it says against the definition", async () => {
  const version = (libvirt: string) =>
    `Running against daemon: ${libvirt}\nRunning hypervisor: QEMU 7.2.22\n`;
  const look = async (told: Outcome) => {
    const target = { version: version("9.0.0"), "domxml-to-native": told };
    const checks = await checkVersions(
      sides("", { source: { version: version("11.3.0") }, target }),
    );
    return checks.map(({ status, message }) => `${status} ${message}`)[0];
  };
  const refused = "unsupported configuration: unknown watchdog model 'itco'";
  expect(await look(new HyperError("unsupported", refused))).toBe(
    `fail 9.0.0 there is older than 11.3.0 here, and does not take the definition: ${refused}`,
  );
  for (const no of [
    new HyperError("unsupported", "this function is not supported by the connection driver"),
    new HyperError("not_active", "network 'x' is not active"),
    "qemu-system-x86_64 -name vm\n",
  ])
    expect(await look(no)).toMatch(/^warning /);
});

describe("the machine", () => {
  const capabilities = `<domainCapabilities><path>/usr/bin/qemu-system-x86_64</path><machine>pc-q35-7.2</machine><vcpu max='8'/>
    <cpu><mode name='host-passthrough' supported='yes'/><mode name='custom' supported='yes'><model usable='yes'>Nehalem</model><model usable='no'>EPYC</model></mode></cpu>
    <devices><tpm supported='yes'><enum name='backendModel'><value>emulator</value></enum></tpm></devices></domainCapabilities>`;
  const look = async (xml: string, more: object = {}) =>
    verdicts(
      await checkMachine(sides(OS + xml, { target: { domcapabilities: capabilities, ...more } })),
    );
  test("that the target does not have", async () => {
    const none = new HyperError("invalid_input", "no such machine");
    expect(await look("", { domcapabilities: none })).toEqual(["machine fail"]);
  });
  test.each([
    ["", ["machine pass", "cpu pass"]],
    ["<vcpu>9</vcpu>", ["machine pass", "vcpus fail", "cpu pass"]],
    [
      "<devices><emulator>/opt/qemu</emulator></devices>",
      ["machine pass", "emulator fail", "cpu pass"],
    ],
    ["<cpu mode='custom'><model>Nehalem</model></cpu>", ["machine pass", "cpu pass"]],
    ["<cpu mode='custom'><model>EPYC</model></cpu>", ["machine pass", "cpu fail"]],
    ["<cpu mode='custom'><model>Other</model></cpu>", ["machine pass", "cpu fail"]],
    ["<cpu mode='host-passthrough'/>", ["machine pass", "cpu warning"]],
    ["<cpu mode='maximum'/>", ["machine pass", "cpu fail"]],
    [
      "<devices><tpm><backend type='emulator'/></tpm></devices>",
      ["machine pass", "cpu pass", "tpm pass"],
    ],
    [
      "<devices><tpm><backend type='passthrough'/></tpm></devices>",
      ["machine pass", "cpu pass", "tpm fail"],
    ],
  ])("%s", async (xml, expected) => {
    expect(await look(xml)).toEqual(expected);
  });
  test("a running guest's CPU is compared as it is", async () => {
    const source = { dumpxml: "<domain><cpu mode='custom'><model>Nehalem</model></cpu></domain>" };
    const compare = async (told: Outcome) => {
      const target = { domcapabilities: capabilities, "hypervisor-cpu-compare": told };
      return verdicts(await checkMachine(sides(OS, { live: true, source, target }))).at(-1);
    };
    expect(
      await compare("The CPU provided by hypervisor is a superset of CPU described in x\n"),
    ).toBe("cpu pass");
    const no = new HyperError("virsh_failed", "CPU described in x is incompatible with the CPU");
    expect(await compare(no)).toBe("cpu fail");
  });
});

test("memory: too little is a failure for what runs", async () => {
  const stats = "total  :  8000 KiB\nfree   :  1000 KiB\nbuffers:   100 KiB\ncached :   900 KiB\n";
  const look = async (kib: number, live: boolean, told: Outcome = stats) =>
    verdicts(
      await checkMemory(sides(`<memory>${kib}</memory>`, { live, target: { nodememstats: told } })),
    );
  expect(await look(2000, true)).toEqual(["memory pass"]);
  expect(await look(2001, true)).toEqual(["memory fail"]);
  expect(await look(2001, false)).toEqual(["memory warning"]);
  expect(await look(1, true, MISSING)).toEqual(["memory warning"]);
});

test("what cannot be looked at does not pass, and every failure is told", async () => {
  const away = new HyperError("unreachable", "away");
  const checks = await checked("storage", () => Promise.reject(away));
  expect(checks).toEqual([fail("storage", "could not be checked: away")]);
  expect(() => assertPossible([pass("cpu", "")])).not.toThrow();
  expect(() => assertPossible([fail("name", "taken"), pass("cpu", ""), ...checks])).toThrow(
    expect.objectContaining({
      code: "already_exists",
      message: "the domain cannot migrate: name: taken; storage: could not be checked: away",
      details: { checks: [fail("name", "taken"), ...checks] },
    }),
  );
});
