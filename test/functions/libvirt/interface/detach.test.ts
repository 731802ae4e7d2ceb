/** POST /libvirt/interface/detach: live and stored alike, and a guest that does not let go. */
import { describe, expect, test, vi } from "vitest";
import detach from "../../../../functions/libvirt/interface/detach.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

/** Milliseconds that a function slept; here it costs no time. */
const { slept } = vi.hoisted(() => ({ slept: [] as number[] }));
vi.mock("node:timers/promises", () => ({ setTimeout: async (ms: number) => slept.push(ms) }));

const MAC = "52:54:00:aa:bb:cc";
const definition = (...macs: string[]) =>
  `<domain><devices>${macs.map((mac) => `<interface type='bridge'><mac address='${mac}'/></interface>`).join("")}</devices></domain>`;

interface Domain {
  state?: string;
  persistent?: string;
  live?: boolean;
  stored?: boolean;
  /** How often its live definition still has the interface after it was detached. */
  holds?: number;
  fails?: Record<string, HyperError>;
}
function domain({
  state = "running",
  persistent = "yes",
  live = true,
  stored = true,
  holds = 0,
  fails = {},
}: Domain) {
  let detached = false;
  let left = holds;
  return answering((verb, ...words) => {
    const failure = fails[`${verb} ${words.at(-1)}`];
    if (failure) return failure;
    if (verb === "dominfo") return `State: ${state}\nPersistent: ${persistent}\n`;
    if (verb === "detach-interface") {
      detached ||= words.includes("--live");
      return "";
    }
    if (words.includes("--inactive")) return stored ? definition(MAC.toUpperCase()) : definition();
    return live && (!detached || left-- > 0) ? definition("52:54:00:00:00:01", MAC) : definition();
  });
}
const input = { vm_name: "my vm", mac: MAC.toUpperCase() };
const command = ["detach-interface", "--domain", "my vm", "--type", "bridge", "--mac", MAC];
const changes = (fake: ReturnType<typeof domain>) =>
  fake.calls.filter(([verb]) => verb === "detach-interface").map((words) => words.at(-1));

describe("detach", () => {
  test.each<[string, Domain, string[]]>([
    ["both", {}, ["--live", "--config"]],
    ["running only", { stored: false }, ["--live"]],
    ["stored only", { live: false }, ["--config"]],
    ["a transient domain", { persistent: "no" }, ["--live"]],
    ["a shut-off domain", { state: "shut off" }, ["--config"]],
  ])("%s", async (_what, made, options) => {
    const fake = domain(made);
    expect(await detach(input, fake)).toEqual({
      vm_name: "my vm",
      mac: MAC,
      live: options.includes("--live"),
      persistent: options.includes("--config"),
    });
    expect(changes(fake)).toEqual(options);
    const first = fake.calls.find(([verb]) => verb === "detach-interface");
    expect(first).toEqual([...command, options[0]]);
  });

  test("a MAC that it has not", async () => {
    const fake = domain({ live: false, stored: false });
    await expect(detach(input, fake)).rejects.toMatchObject({
      code: "not_found",
      message: `Interface not found: my vm has none with MAC ${MAC}`,
    });
    expect(changes(fake)).toEqual([]);
  });

  test.each(["52:54:00:aa:bb", "52-54-00-aa-bb-cc", "52:54:00:aa:bb:cg", "'x'"])(
    "%j is no MAC",
    async (mac) => {
      await expect(detach({ ...input, mac }, domain({}))).rejects.toMatchObject({
        code: "invalid_input",
      });
    },
  );

  test("a guest that takes a moment is waited for", async () => {
    const fake = domain({ holds: 2 });
    expect(await detach(input, fake)).toMatchObject({ live: true, persistent: true });
    expect(changes(fake)).toEqual(["--live", "--config"]);
  });

  test.each<[string, Domain, string[]]>([
    ["the definition loses it", {}, ["--live", "--config"]],
    ["it was never stored", { stored: false }, ["--live"]],
    ["a transient domain", { persistent: "no" }, ["--live"]],
    ["a paused domain", { state: "paused" }, ["--live", "--config"]],
  ])("a guest that does not let go in 5 s was asked to: %s", async (_what, machine, options) => {
    slept.length = 0;
    const fake = domain({ ...machine, holds: 1000 });
    expect(await detach(input, fake)).toEqual({
      vm_name: "my vm",
      mac: MAC,
      live: "requested",
      persistent: options.includes("--config"),
    });
    expect(changes(fake)).toEqual(options);
    expect(slept.reduce((sum, ms) => sum + ms, 0)).toBe(5000);
  });

  test("the message says whether the guest still has it", () => {
    const answer = { vm_name: "vm", mac: MAC, persistent: true };
    const { message: spec } = detach.spec;
    const message = (live: boolean | "requested") =>
      typeof spec === "function" && spec({ ...answer, live }, { vm_name: "vm", mac: MAC });
    expect(message(true)).toBe(`Interface ${MAC} detached from vm`);
    expect(message("requested")).toBe(
      `The guest of vm was asked to release interface ${MAC} and still has it`,
    );
  });

  test("a failure in the definition says that the guest was only asked", async () => {
    const fails = { "detach-interface --config": new HyperError("permission_denied", "no") };
    await expect(detach(input, domain({ fails, holds: 1000 }))).rejects.toMatchObject({
      code: "permission_denied",
      message:
        "no; the running domain was asked to release the interface, its definition still has it",
    });
  });

  test("a failure in the definition says that the running domain has lost the interface", async () => {
    const fails = { "detach-interface --config": new HyperError("permission_denied", "no") };
    await expect(detach(input, domain({ fails }))).rejects.toMatchObject({
      code: "permission_denied",
      message: expect.stringMatching(/^no; .*running/),
    });
  });
});
