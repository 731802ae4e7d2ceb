/** The code of a failure in a language that is not recognised, from the state of the command's object. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { diagnose } from "../../../runtime/hypervisor/diagnose.ts";
import type { Hypervisor } from "../../../runtime/hypervisor/hypervisor.ts";
import type { Arg } from "../../../runtime/hypervisor/text-arguments.ts";
import { virshError } from "../../../runtime/hypervisor/virsh-errors.ts";

const JAPANESE = "要求された操作は有効ではありません: ドメインが稼働していません";
const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
const ROUTES = `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU
virbr7\t0007000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0
`;

/** It has these objects. Reads of any other fail. */
const READS: Record<string, string> = {
  "domstate on": "running\n",
  "domstate paused": "paused\n",
  "domstate off": "shut off\n",
  "domstate crashed": "crashed\n",
  "domcontrol busy": "occupied (31.204s)\n",
  "domcontrol on": "occupied (0.001s)\n",
  "dumpxml off": "<domain><interface><source network='idle'/></interface></domain>",
  "domuuid off": `${UUID}\n\n`,
  "snapshot-list off": "s1\nit's 2\n",
  "net-info up": "Name: up\nActive:         yes\n",
  "net-info idle": "Name: idle\nActive:         no\n",
  "net-info taken": "Active:         no\n",
  "net-info wide": "Active:         no\n",
  "net-info free": "Active:         no\n",
  "net-list": "up\nit's\n",
  "net-dumpxml taken": "<network><ip address='10.0.7.9' netmask='255.255.255.0'></network>",
  "net-dumpxml wide": "<network><ip address='192.168.3.1' prefix='16'/></network>",
  "net-dumpxml free": "<network><ip address='10.0.8.1' prefix='24'/></network>",
  "net-dumpxml up": "<network><name>up</name><bridge name='virbr7' stp='on'/></network>",
  "pool-info on": "State:          running\n",
  "pool-info off": "State:          inactive\n",
  "vol-path on v": "/v\n",
  "pool-list": "on\n",
};

function hypervisor(reads = READS) {
  const asked: string[] = [];
  const fake = {
    virsh: async ([command = []]: Arg[][]) => {
      const [verb, , ...words] = command.map(String);
      const key = [verb, ...words.filter((word) => !word.startsWith("--"))].slice(0, 3).join(" ");
      asked.push(`${verb}`);
      const found = reads[key] ?? reads[key.split(" ").slice(0, 2).join(" ")] ?? reads[`${verb}`];
      return [found ?? new HyperError("not_found", "failed to get it")];
    },
    exec: async () => ({ stdout: ROUTES, stderr: "", exitCode: 0 }),
  };
  return { asked, fake: fake as unknown as Hypervisor };
}

async function codeOf(command: Arg[], failure = virshError([JAPANESE], `${command[0]}`)) {
  const { fake } = hypervisor();
  const [outcome] = await diagnose(fake, [command], [failure], {});
  return (outcome as HyperError).code;
}

const of = (verb: string, name: string, ...more: Arg[]) => [verb, "--domain", name, ...more];
const network = (verb: string, name: string) => [verb, "--network", name];
const file = (text: string): Arg[] => ["--file", { text }];

describe("Japanese", () => {
  test.each<[string, Arg[], string]>([
    ["start one that runs", of("start", "on"), "already_active"],
    ["start one that is paused", of("start", "paused"), "already_active"],
    ["start one whose network is off", of("start", "off"), "not_active"],
    ["resume one that runs", of("resume", "on"), "already_active"],
    ...["suspend", "resume", "shutdown", "reboot", "destroy"].flatMap(
      (verb): [string, Arg[], string][] => [
        [`${verb} one that is off`, of(verb, "off"), "not_active"],
        [`${verb} one that has crashed`, of(verb, "crashed"), "not_active"],
      ],
    ),
    ["a domain that another call holds", of("blockjob", "busy"), "timed_out"],
    ["a domain that a call has just begun on", of("setmem", "on"), "virsh_failed"],
    [
      "attach to a network that is off",
      of("attach-device", "on", ...file("<interface><source network='idle'/></interface>")),
      "not_active",
    ],
    [
      "define one that exists",
      ["define", ...file("<domain><name>off</name></domain>")],
      "already_exists",
    ],
    [
      "define it anew, with its UUID",
      ["define", ...file(`<domain><name>off</name><uuid>${UUID}</uuid></domain>`)],
      "virsh_failed",
    ],
    ["define another", ["define", ...file("<domain><name>new</name></domain>")], "virsh_failed"],
    [
      "a snapshot that exists",
      of("snapshot-create-as", "off", "--name", "it's 2"),
      "already_exists",
    ],
    [
      "delete one that is not there",
      of("snapshot-delete", "off", "--snapshotname", "s9"),
      "not_found",
    ],
    [
      "revert to one that is not there",
      of("snapshot-revert", "off", "--snapshotname", "s9"),
      "not_found",
    ],
    ["start an active network", network("net-start", "up"), "already_active"],
    ["start one whose subnet has a route", network("net-start", "taken"), "in_use"],
    ["start one whose /16 has a route", network("net-start", "wide"), "in_use"],
    ["start one that is free", network("net-start", "free"), "virsh_failed"],
    ["stop one that is off", network("net-destroy", "idle"), "not_active"],
    [
      "define a network that exists",
      ["net-define", ...file("<network><name>it&apos;s</name></network>")],
      "already_exists",
    ],
    [
      "its bridge is taken",
      ["net-define", ...file("<network><name>n</name><bridge name='virbr7'/></network>")],
      "already_exists",
    ],
    [
      "a network that is new",
      ["net-define", ...file("<network><name>n</name><bridge name='virbr8'/></network>")],
      "virsh_failed",
    ],
    ["start an active pool", ["pool-start", "--pool", "on"], "already_active"],
    ["stop one that is off", ["pool-destroy", "--pool", "off"], "not_active"],
    ["refresh one that is off", ["pool-refresh", "--pool", "off"], "not_active"],
    ["a pool that exists", ["pool-define-as", "--name", "on"], "already_exists"],
    [
      "a volume that exists",
      ["vol-create", "--pool", "on", ...file("<volume><name>v</name></volume>")],
      "already_exists",
    ],
    [
      "a volume of a pool that is off",
      ["vol-create", "--pool", "off", ...file("<volume><name>v</name></volume>")],
      "not_active",
    ],
    ["a verb without a check", ["nodedev-list"], "virsh_failed"],
  ])("%s", async (_what, command, code) => {
    expect(await codeOf(command)).toBe(code);
  });
});

test("the message stays, and what is recognised is not asked about", async () => {
  const { fake, asked } = hypervisor();
  const english = virshError(["Requested operation is not valid: domain is not running"], "");
  const commands = [of("suspend", "on"), of("start", "on"), of("start", "on")];
  const outcomes = await diagnose(fake, commands, ["", english, virshError([JAPANESE], "")], {});
  expect(outcomes[0]).toBe("");
  expect(outcomes[1]).toBe(english);
  expect(outcomes[2]).toMatchObject({ code: "already_active", message: JAPANESE });
  expect(asked).toEqual(["domstate"]);
});

test("a check that fails leaves the code as it was", async () => {
  const broken = {
    virsh: async () => {
      throw new HyperError("unreachable", "gone");
    },
  };
  const failure = virshError([JAPANESE], "");
  const [outcome] = await diagnose(broken as never, [of("start", "on")], [failure], {});
  expect(outcome).toBe(failure);
});

test.each([
  "« x is already active »",
  "„x is already active“",
  "“x is already active”",
  "「x is already active」",
])("a name in the quotes of another language is not read: %s", (name) => {
  expect(virshError([`opération échouée : Le domaine ${name} existe déjà`], "").code).toBe(
    "virsh_failed",
  );
});
