/** POST /libvirt/domain/edit: what is stored, what is live, what is refused, and what a failure takes back. */
import { describe, expect, test, vi } from "vitest";
import edit from "../../../../functions/libvirt/domain/edit.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

vi.mock("node:timers/promises", () => ({ setTimeout: async () => {} }));

interface Domain {
  state?: string;
  persistent?: string;
  saved?: string;
  autostart?: string;
  /** What stands in the definition beside memory and vCPUs. */
  more?: string;
  live?: string;
  fails?: Record<string, HyperError>;
  /** libvirt stores something else than it was given. */
  keeps?: string;
  actual?: number;
}

const UUID = "11111111-1111-4111-8111-111111111111";
const SIZES = `<memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>1048576</currentMemory><vcpu placement='static'>2</vcpu>`;
const text = (more: string) => `<domain><name>vm</name><uuid>${UUID}</uuid>${more}</domain>`;

function domain(made: Domain = {}) {
  const { state = "shut off", persistent = "yes", saved = "no", more = "", fails = {} } = made;
  let stored = text(`${SIZES}<os><boot dev='hd'/></os><devices>${more}</devices>`);
  const live = made.live ?? stored;
  let autostart = made.autostart ?? "disable";
  const fake = answering((verb, ...words) => {
    const failure = fails[verb];
    if (failure) return failure;
    if (verb === "list") return `${UUID} 7\n`;
    if (verb === "dominfo")
      return `Name:           vm\nUUID:           ${UUID}\nState:          ${state}\nPersistent:     ${persistent}\nAutostart:      ${autostart}\nManaged save:   ${saved}\n`;
    if (verb === "define") stored = made.keeps ?? `${words[1]}`;
    if (verb === "autostart") autostart = words.includes("--disable") ? "disable" : "enable";
    if (verb === "dumpxml") return words.includes("--inactive") ? stored : live;
    if (verb === "dommemstat") return `actual ${made.actual}\n`;
    return "";
  });
  return { ...fake, stored: () => stored };
}

const changing = /^(define|autostart|setmem|setvcpus|desc)$/;
const changes = (fake: ReturnType<typeof domain>) =>
  fake.calls.filter(([verb]) => changing.test(`${verb}`));
const off = { live: false, persistent: true, reason: "the domain is off" };

describe("bad input", () => {
  test.each<[string, object, RegExp]>([
    ["nothing to change", {}, /^must change something: memory, /],
    ["an unknown field", { cpus: 1 }, /unknown key "cpus"/],
    ["no memory", { memory: 0 }, /^memory: /],
    ["half a MiB", { memory: 0.5 }, /^memory: /],
    ["a text for memory", { memory: "1G" }, /^memory: /],
    ["a maximum of nothing", { max_memory: -1 }, /^max_memory: /],
    ["no vCPU", { vcpus: 0 }, /^vcpus: /],
    ["too many vCPUs", { vcpus: 4097 }, /^vcpus: /],
    ["too many at most", { max_vcpus: 4097 }, /^max_vcpus: /],
    ["a control character", { description: "a\x07" }, /^description: /],
    ["a title of two lines", { title: "a\nb" }, /^title: must be one line/],
    ["a long title", { title: "a".repeat(1025) }, /^title: /],
    ["no boot device", { boot: [] }, /^boot: must name at least one/],
    ["a strange one", { boot: ["../x"] }, /^boot\.0: must be disk, /],
    ["one twice", { boot: ["disk", "DISK"] }, /^boot: must not name a device twice/],
    ["a mixture", { boot: ["disk", "vda"] }, /^boot: .*no mixture/],
    ["autostart as text", { autostart: "yes" }, /^autostart: /],
    ["a bad name", { name: "a/b", memory: 1 }, /^name: /],
  ])("%s", async (_what, input, message) => {
    const fake = domain();
    const refused = edit({ name: "vm", ...input } as Parameters<typeof edit>[0], fake);
    await expect(refused).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
    expect(fake.calls).toEqual([]);
  });

  test.each<[object, RegExp]>([
    [{ max_memory: 512 }, /^max_memory: 512 is less than memory, 1024/],
    [{ max_memory: 512, memory: 600 }, /^max_memory: 512 is less than memory, 600/],
    [{ max_vcpus: 1 }, /^max_vcpus: 1 is less than vcpus, 2/],
    [{ boot: ["vda", "sdb"] }, /^boot\[0\]: the domain has no disk or interface vda; it has none/],
  ])("%j of this domain", async (input, message) => {
    const fake = domain();
    await expect(edit({ name: "vm", ...input }, fake)).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
    expect(changes(fake)).toEqual([]);
  });
});

test("off: one definition for all fields, and autostart", async () => {
  const fake = domain();
  const wish = { memory: 512, vcpus: 4, title: "<t>", autostart: true };
  expect(await edit({ name: "vm", ...wish }, fake)).toEqual({
    ...{ name: "vm", uuid: UUID, restart_needed: false },
    changes: [
      { field: "memory", value: 512, ...off },
      { field: "vcpus", value: 4, ...off },
      { field: "title", value: "<t>", ...off },
      { field: "autostart", value: true, live: true, persistent: true },
      { field: "max_memory", value: 512, ...off },
      { field: "max_vcpus", value: 4, ...off },
    ],
  });
  expect(changes(fake).map(([verb]) => verb)).toEqual(["define", "autostart"]);
  expect(fake.stored()).toContain("<title>&lt;t&gt;</title>");
  expect(fake.stored()).toContain("<vcpu placement='static'>4</vcpu>");
});

test("what it has already is not defined again", async () => {
  const fake = domain({ autostart: "enable" });
  const wish = { memory: 1024, vcpus: 2, boot: ["disk"], description: "", autostart: true };
  await edit({ name: "vm", ...wish }, fake);
  expect(changes(fake)).toEqual([]);
});

test("a domain whose name is a number is meant by its UUID", async () => {
  const fake = domain();
  await edit({ name: "7", title: "t" }, fake);
  for (const words of fake.calls.filter((call) => call.includes("--domain")))
    expect(words[2]).toBe(UUID);
});

describe("a failure", () => {
  test("of autostart sets the definition back", async () => {
    const fake = domain({ fails: { autostart: new HyperError("virsh_failed", "no link") } });
    const before = fake.stored();
    const refused = edit({ name: "vm", title: "t", autostart: true }, fake);
    await expect(refused).rejects.toMatchObject({
      code: "virsh_failed",
      message: expect.stringMatching(/no link/),
    });
    expect(fake.stored()).toBe(before);
  });

  test("of define changes nothing", async () => {
    const fake = domain({ fails: { define: new HyperError("unsupported", "too many") } });
    const refused = edit({ name: "vm", vcpus: 99, autostart: true }, fake);
    await expect(refused).rejects.toMatchObject({ code: "unsupported", message: "too many" });
    expect(changes(fake).map(([verb]) => verb)).toEqual(["define"]);
  });

  test("libvirt makes something else of it: told, and set back", async () => {
    const other = text(`${SIZES.replace(">2<", ">3<")}<os/><devices/>`);
    const fake = domain({ keeps: other });
    await expect(edit({ name: "vm", vcpus: 4, title: "t" }, fake)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(/^vcpus: libvirt has made 3 of it; title: .*max_vcpus: /),
    });
    const defined = changes(fake).filter(([verb]) => verb === "define");
    expect(defined).toHaveLength(2);
    expect(defined[1]?.[2]).not.toContain("<title>");
  });

  test("of the connection while it is live: what the running domain has is named", async () => {
    const fails = { desc: new HyperError("outcome_unknown", "lost") };
    const balloon = "<memballoon model='virtio'/>";
    const fake = domain({ state: "running", more: balloon, actual: 524288, fails });
    const before = fake.stored();
    await expect(edit({ name: "vm", memory: 512, title: "t" }, fake)).rejects.toMatchObject({
      code: "outcome_unknown",
      message: "title: lost; the running domain has: memory",
    });
    expect(fake.stored()).toBe(before);
  });
});

describe("running", () => {
  const running = { state: "running", more: "<memballoon model='virtio'/>" };

  test("each field has its own outcome", async () => {
    const fails = { setvcpus: new HyperError("timed_out", "Timed out during operation") };
    const fake = domain({ ...running, actual: 524288, fails });
    const wish = { memory: 512, max_memory: 2048, vcpus: 1, max_vcpus: 2, title: "--t" };
    const answer = await edit({ name: "vm", ...wish, boot: ["cdrom"] }, fake);
    expect(answer.changes).toEqual(
      [
        { field: "memory", value: 512, live: true, persistent: true },
        {
          field: "max_memory",
          value: 2048,
          live: false,
          persistent: true,
          reason: expect.any(String),
        },
        {
          field: "vcpus",
          value: 1,
          live: "requested",
          persistent: true,
          reason: expect.any(String),
        },
        { field: "max_vcpus", value: 2, live: true, persistent: true },
        { field: "title", value: "--t", live: true, persistent: true },
        { field: "boot", value: ["cdrom"], live: false, persistent: true, reason: /next start/ },
      ].map((one) =>
        one.reason instanceof RegExp ? { ...one, reason: expect.stringMatching(one.reason) } : one,
      ),
    );
    expect(answer.restart_needed).toBe(true);
    expect(changes(fake).slice(1)).toEqual([
      ["setmem", "--domain", UUID, "--size", "524288", "--live"],
      ["setvcpus", "--domain", UUID, "--count", "1", "--live"],
      ["desc", "--domain", UUID, "--live", "--title", "--new-desc=--t"],
    ]);
  });

  test.each<[string, Domain, object, object]>([
    [
      "more than it can have",
      running,
      { memory: 2048 },
      { live: false, reason: /1024 MiB at most/ },
    ],
    [
      "more vCPUs than it can have",
      running,
      { vcpus: 8 },
      { live: false, reason: /2 vCPUs at most/ },
    ],
    [
      "no balloon",
      { state: "running" },
      { memory: 512 },
      { live: false, reason: /no memory balloon/ },
    ],
    [
      "a guest that does not follow",
      { ...running, actual: 7 },
      { memory: 512 },
      { live: "requested" },
    ],
    [
      "QEMU refuses",
      { ...running, fails: { setvcpus: new HyperError("virsh_failed", "not hotpluggable") } },
      { vcpus: 1 },
      { live: false, reason: /^not hotpluggable$/ },
    ],
  ])("%s", async (_what, made, wish, outcome) => {
    const { changes } = await edit({ name: "vm", ...wish }, domain(made));
    const reason =
      "reason" in outcome ? { reason: expect.stringMatching(outcome.reason as RegExp) } : {};
    expect(changes[0]).toMatchObject({ persistent: true, ...outcome, ...reason });
  });

  test.each([{ boot: ["disk"] }, { autostart: false }, { max_memory: 1 }, { max_vcpus: 9 }])(
    "transient: %j is refused before anything",
    async (wish) => {
      const fake = domain({ ...running, persistent: "no" });
      const [field] = Object.keys(wish);
      await expect(edit({ name: "vm", title: "t", ...wish }, fake)).rejects.toMatchObject({
        code: "unsupported",
        message: expect.stringMatching(`^${field}: the domain is transient`),
      });
      expect(changes(fake)).toEqual([]);
    },
  );
});
