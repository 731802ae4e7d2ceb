/** Waiting for a guest: what counts as a sign, what never will, and what a wait in vain says. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { log } from "../../../../runtime/core/log.ts";
import { unwatched } from "../../../../runtime/core/progress.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import type { Outcome } from "../../../../runtime/hypervisor/outcomes.ts";
import type { ExecResult } from "../../../../runtime/hypervisor/transport.ts";
import { parseAddresses } from "../../../../runtime/libvirt/domain/guest-signs.ts";
import { Wait, waitForGuest } from "../../../../runtime/libvirt/domain/wait-for-guest.ts";
import { answering } from "../../../fixtures/fake.ts";

const AGENT =
  "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";
const NIC = "<interface type='network'><mac address='52:54:00:00:00:01'/></interface>";
const row = (address: string, name = "vnet0") =>
  ` ${name.padEnd(10)} 52:54:00:00:00:01    ipv${address.includes(":") ? 6 : 4}         ${address}\n`;
const NOT_CONNECTED = new HyperError(
  "virsh_failed",
  "Guest agent is not responding: not connected",
);

interface World {
  devices?: string;
  state?: string;
  lease?: string[];
  arp?: string[];
  /** One for each time that it is asked; the last again and again. */
  agent?: Outcome[];
  /** What the guest's program prints, one for each run. */
  prints?: (string | HyperError)[];
  /** Errors in the place of what it has printed, one for each run. */
  statuses?: (string | HyperError)[];
  exec?: (argv: string[]) => Partial<ExecResult>;
}

let hosts = 0;
function world({ devices = AGENT + NIC, state = "running", lease = [], arp = [], ...more }: World) {
  const { agent = [""], prints = [], statuses = [""], exec } = more;
  const next = <T>(list: T[]) => (list.length > 1 ? (list.shift() as T) : (list[0] as T));
  let printed: string | HyperError = "";
  const fake = answering((verb, ...words): Outcome => {
    if (verb === "dumpxml")
      return `<domain><name>web</name><uuid>u</uuid><devices>${devices}</devices></domain>`;
    if (verb === "domstate") return `${state}\n\n`;
    if (verb === "domifaddr") {
      const source = words.at(-1);
      if (source === "agent") return next(agent);
      return (source === "lease" ? lease : arp).map((address) => row(address)).join("");
    }
    if (verb === "qemu-agent-command") {
      const command = JSON.parse(words.at(-1) ?? "");
      if (command.execute === "guest-exec") {
        printed = next(prints);
        return printed instanceof HyperError ? printed : '{"return":{"pid":7}}';
      }
      const status = next(statuses);
      if (status instanceof HyperError) return status;
      const data = Buffer.from(`${printed}`).toString("base64");
      return JSON.stringify({ return: { exited: true, exitcode: 0, "out-data": data } });
    }
    return "";
  });
  const controller = new AbortController();
  const phases: string[] = [];
  const ctx = {
    ...{ ...fake, log, host: `wait ${hosts++}`, signal: controller.signal, progress: unwatched },
    progress: ({ phase }: { phase: string }) => void phases.push(phase),
    exec: async (argv: string[]) => ({ stdout: "", stderr: "", exitCode: 1, ...exec?.(argv) }),
  } as unknown as Context;
  const wait = (asked: object, known?: string[]) =>
    waitForGuest(ctx, "d", Wait.parse({ timeout: 1, ...asked }), known);
  return { ...fake, ctx, wait, controller, phases };
}

describe("an address", () => {
  test("of a lease, the neighbours or the agent, each once", async () => {
    const { wait } = world({ lease: ["192.0.2.7/24"], arp: ["192.0.2.7/0", "192.0.2.8/0"] });
    expect(await wait({ for: "address" })).toEqual({
      addresses: [
        { address: "192.0.2.7", prefix: 24, mac: "52:54:00:00:00:01", source: "lease" },
        { address: "192.0.2.8", prefix: 0, mac: "52:54:00:00:00:01", source: "arp" },
      ],
      seconds: expect.any(Number),
    });
    const told = world({ agent: [NOT_CONNECTED, row("2001:db8::7/64")] });
    expect((await told.wait({ for: "address" })).addresses).toMatchObject([
      { address: "2001:db8::7", source: "agent" },
    ]);
    expect(told.phases).toEqual(["waiting for the guest: no address"]);
  });

  test("that no other machine can use is none", () => {
    const table = ["127.0.0.1/8", "::1/128", "fe80::1/64", "169.254.1.1/16"].map((one) => row(one));
    expect(parseAddresses(table.join(""), "agent")).toEqual([]);
    expect(parseAddresses(row("192.0.2.7/24", "Ethernet 2 (x)"), "agent")).toHaveLength(1);
    expect(
      parseAddresses(" lo         -                    N/A          N/A\n\n", "agent"),
    ).toEqual([]);
  });
});

test("the agent: its answer is the sign", async () => {
  const { wait, calls } = world({ agent: [NOT_CONNECTED, NOT_CONNECTED, ""] });
  expect(await wait({ for: "agent", timeout: 60 })).toMatchObject({ addresses: [] });
  expect(calls.filter((words) => words.includes("agent"))).toHaveLength(3);
});

describe("ssh", () => {
  test("a greeting at an address that is known, or that it was told to take", async () => {
    const asked: string[] = [];
    const { wait } = world({
      arp: ["192.0.2.8/0"],
      agent: [NOT_CONNECTED],
      exec(argv) {
        asked.push(`${argv.at(-1)}`);
        return argv.at(-1) === "192.0.2.9"
          ? { stdout: "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", exitCode: 0 }
          : { stderr: "bash: connect: Connection refused\nbash: line 1: x\n" };
      },
    });
    const guest = await wait({ for: "ssh" }, ["192.0.2.9", "192.0.2.10"]);
    expect(guest.ssh).toEqual({ address: "192.0.2.9", greeting: "SSH-2.0-OpenSSH_9.2p1" });
    expect(guest.addresses.map(({ address, source }) => [address, source])).toEqual([
      ["192.0.2.8", "arp"],
      ["192.0.2.9", "static"],
    ]);
    expect(asked).toEqual(["192.0.2.8", "192.0.2.9"]);
  });

  test("another server is none", async () => {
    const { wait } = world({ lease: ["192.0.2.8/24"], exec: () => ({ stdout: "220 smtp\n" }) });
    await expect(wait({ for: "ssh" })).rejects.toMatchObject({
      code: "timed_out",
      message: expect.stringContaining("no SSH server answers (192.0.2.8: no answer)"),
    });
  });
});

describe("cloud-init", () => {
  const result = (v1: object) => JSON.stringify({ v1 });
  test("is done when its result is there", async () => {
    const done = result({ datasource: "DataSourceNoCloud", errors: [] });
    const { wait, calls } = world({
      agent: ["", row("192.0.2.7/24")],
      prints: ["running\n", '{"v1', done],
    });
    expect(await wait({ for: "cloud-init", timeout: 60 })).toMatchObject({
      cloud_init: { datasource: "DataSourceNoCloud", errors: [] },
      addresses: [{ address: "192.0.2.7" }],
    });
    const [command] = calls.flatMap((words) =>
      words.filter((word) => word.includes('guest-exec"')),
    );
    expect(JSON.parse(`${command}`).arguments.path).toBe("/bin/sh");
  });

  test("that failed is an error", async () => {
    const { wait } = world({ prints: [result({ datasource: "x", errors: ["package a", "b"] })] });
    await expect(wait({ for: "cloud-init" })).rejects.toMatchObject({
      code: "command_failed",
      message: "wait: cloud-init of domain web has ended with errors: package a; b",
      details: { domain: "web", cloud_init: { errors: ["package a", "b"] } },
    });
  });

  test.each([
    ["missing\n", "wait: the guest has no cloud-init"],
    ["disabled\n", "wait: cloud-init is disabled in the guest, as where it finds no seed"],
    [
      new HyperError("virsh_failed", "Command guest-exec has been disabled"),
      "wait: the guest's agent runs no programs: Command guest-exec has been disabled",
    ],
  ])("%s will never be done", async (prints, message) => {
    await expect(world({ prints: [prints] }).wait({ for: "cloud-init" })).rejects.toMatchObject({
      code: "unsupported",
      message,
    });
  });
});

test("an agent that has started anew does not know the program, which is asked for again", async () => {
  const restarted = new HyperError(
    "virsh_failed",
    "unable to execute QEMU agent command 'guest-exec-status': Invalid parameter 'pid'",
  );
  const done = JSON.stringify({ v1: { datasource: "NoCloud", errors: [] } });
  const { wait } = world({ prints: ["", done], statuses: [restarted, ""] });
  const guest = await wait({ for: "cloud-init", timeout: 60 });
  expect(guest.cloud_init).toEqual({ datasource: "NoCloud", errors: [] });
});

describe("a hypervisor that is lost", () => {
  const LOST = new HyperError("unreachable", "libvirt does not answer");
  test("may be back before the time is over", async () => {
    const { wait, phases } = world({ agent: [LOST, LOST, ""] });
    expect(await wait({ for: "agent", timeout: 60 })).toMatchObject({ addresses: [] });
    expect(phases[0]).toBe("waiting for the hypervisor: libvirt does not answer");
  });

  test("is the answer when it stays away", async () => {
    const { wait } = world({ agent: [LOST] });
    await expect(wait({ for: "agent" })).rejects.toBe(LOST);
  });
});

describe("in vain", () => {
  test("tells what was seen", async () => {
    const { wait } = world({ agent: [NOT_CONNECTED], lease: ["192.0.2.7/24"] });
    await expect(wait({ for: "agent" })).rejects.toMatchObject({
      code: "timed_out",
      message: expect.stringMatching(
        /^wait: domain web is there and running, but after 1(\.\d)? s its guest was not: Guest agent is not responding: not connected$/,
      ),
      details: { domain: "web", state: "running", addresses: [{ address: "192.0.2.7" }] },
    });
  });

  test("for a domain that went off", async () => {
    const { wait } = world({ state: "shut off" });
    await expect(wait({ for: "address", timeout: 60 })).rejects.toMatchObject({
      code: "not_active",
      message: "wait: domain web is shut off by now; no address",
    });
  });

  test("for a caller who has left", async () => {
    const { wait, controller } = world({});
    setTimeout(() => controller.abort(), 20);
    await expect(wait({ for: "address", timeout: 60 })).rejects.toMatchObject({
      code: "cancelled",
    });
  });

  test.each([
    [{ for: "agent" }, NIC, /^wait: the domain has no channel of the guest agent/],
    [{ for: "cloud-init" }, NIC, /^wait: the domain has no channel of the guest agent/],
    [{ for: "ssh" }, AGENT, "wait: the domain has no network interface"],
    [{ for: "address" }, "", "wait: the domain has no network interface"],
  ])("%j with %s is refused at once", async (asked, devices, message) => {
    await expect(world({ devices }).wait(asked)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
  });
});

test.each([
  [{}, "for"],
  [{ for: "ping" }, "for"],
  [{ for: "ssh", timeout: 0 }, "timeout"],
  [{ for: "ssh", timeout: 86_401 }, "timeout"],
  [{ for: "agent", eject: true }, "eject"],
  [{ for: "ssh", seconds: 1 }, ""],
])("%j is refused", (input, path) => {
  expect(Wait.safeParse(input).error?.issues[0]?.path.join(".")).toBe(path);
});
