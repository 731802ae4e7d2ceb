/** /libvirt/template/*: what each asks of the hypervisor, what it refuses, and what a failure undoes. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import create from "../../../../functions/libvirt/template/create.ts";
import deploy from "../../../../functions/libvirt/template/deploy.ts";
import exportTemplate from "../../../../functions/libvirt/template/export.ts";
import list from "../../../../functions/libvirt/template/list.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import type { Deployed } from "../../../../runtime/libvirt/clone/deploy.ts";
import { readMark } from "../../../../runtime/libvirt/clone/template-mark.ts";
import { parseXml } from "../../../../runtime/libvirt/xml.ts";
import { cloning } from "../../../fixtures/cloning.ts";
import { answering } from "../../../fixtures/fake.ts";

const state = mkdtempSync(join(tmpdir(), "template-"));
process.env.XDG_STATE_HOME = state;
const notes = () => readdirSync(join(state, "hypersdk/work"));
afterEach(() => rmSync(join(state, "hypersdk"), { recursive: true, force: true }));
afterAll(() => rmSync(state, { recursive: true }));

const SOURCE = `<domain type='qemu'>
  <name>base</name>
  <uuid>3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01</uuid>
  <memory unit='KiB'>1024</memory>
  <vcpu>1</vcpu>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/pool/base.qcow2'/><target dev='vda'/></disk>
    <interface type='network'><source network='lan'/></interface>
  </devices>
</domain>`;
/** What was run in the place of these programs. */
const guestfs = (ran: string[][], program: string) => ran.find((argv) => argv.includes(program));

describe("create", () => {
  const input = { domain: "base", name: "golden" };
  test("marks the copy", async () => {
    const { context, defined } = cloning(SOURCE);
    const given = { ...input, description: "two\nlines\t& <b>", metadata: { os: "debian" } };
    const made = await create(given, context);
    const mark = { source: "base", sealed: false, created: expect.stringMatching(/Z$/) };
    expect(made).toMatchObject({ name: "golden", ...mark, metadata: { os: "debian" } });
    expect(readMark(parseXml(`${defined[0]}`, "domain"))).toMatchObject({
      ...mark,
      description: "two\nlines\t& <b>",
      metadata: { os: "debian" },
    });
  });

  test("seals the copies, and not the source, before the domain exists", async () => {
    const { context, ran, calls } = cloning(SOURCE, {
      run(argv) {
        if (argv.includes("virt-sysprep") && !argv.includes("-c"))
          expect(calls.at(-1)?.[0]).not.toBe("define");
        return undefined;
      },
    });
    expect((await create({ ...input, seal: true }, context)).sealed).toBe(true);
    const argv = ran.findLast((one) => one.includes("virt-sysprep")) ?? [];
    expect(argv.slice(argv.indexOf("virt-sysprep"))).toEqual([
      ...["virt-sysprep", "--format", "qcow2", "-a", "/pool/golden.qcow2"],
      ...["--operations", "defaults,-customize"],
    ]);
    expect(argv).not.toContain("/pool/base.qcow2");
  });

  test("without virt-sysprep nothing is begun", async () => {
    const { context, calls } = cloning(SOURCE, {
      run: ([program]) => (program === "sh" ? { stdout: "" } : undefined),
    });
    await expect(create({ ...input, seal: true }, context)).rejects.toMatchObject({
      code: "unsupported",
      message: 'seal needs virt-sysprep on hypervisor t; install its package "libguestfs-tools"',
    });
    expect(calls).toEqual([]);
  });

  test("a seal that fails: the disk and libguestfs's folder go, no domain comes", async () => {
    const { context, ran, verbs, calls } = cloning(SOURCE, {
      run(argv) {
        if (argv[0] === "ls") return { exitCode: 0, stderr: "" };
        return argv.includes("LIBGUESTFS_BACKEND=direct")
          ? { exitCode: 1, stderr: "virt-sysprep: no kernel\n" }
          : undefined;
      },
    });
    await expect(create({ ...input, seal: true }, context)).rejects.toMatchObject({
      code: "command_failed",
      message: "virt-sysprep: virt-sysprep: no kernel",
    });
    expect(verbs()).not.toContain("define");
    expect(calls).toContainEqual(["vol-delete", "--pool", "pool", "--vol", "golden.qcow2"]);
    expect(ran.at(-1)?.slice(0, 2)).toEqual(["rm", "-rf"]);
    expect(notes()).toEqual([]);
  });

  test.each([
    [{ name: "" }, /^name: must not be empty/],
    [{ description: "a\u0001b" }, /^description: must not contain control characters but newlines/],
    [{ description: "a\rb" }, /^description: /],
    [{ description: "\uFFFF" }, /^description: /],
    [{ description: "x".repeat(4097) }, /^description: /],
    [{ metadata: { k: "\u0000" } }, /^metadata\.k: must not contain control characters/],
    [{ metadata: { "a\nb": "x" } }, /^metadata: each key must be 1 to 255 characters/],
    [{ metadata: { "": "x" } }, /^metadata: each key/],
    [{ metadata: { k: 1 } }, /^metadata\.k: /],
    [{ seal: "yes" }, /^seal: /],
    [{ sealed: true }, /unknown key "sealed"/],
  ])("%j is refused", async (change, message) => {
    const { context, calls } = cloning(SOURCE);
    await expect(create({ ...input, ...change } as never, context)).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
    expect(calls).toEqual([]);
  });
});

describe("deploy", () => {
  const input = { template: "base", name: "web" };
  const deployOne: (...given: Parameters<typeof deploy>) => Promise<Deployed> = async (...given) =>
    (await deploy(...given)) as Deployed;
  test("changes what it is asked for, and starts it last", async () => {
    const { context, defined, calls } = cloning(SOURCE);
    const given = { ...input, memory: 3, vcpus: 2, network: "it's", autostart: true };
    const { uuid, started } = await deployOne(given, context);
    expect(started).toBe(true);
    expect(calls.slice(-2)).toEqual([
      ["autostart", "--domain", uuid],
      ["start", "--domain", uuid],
    ]);
    for (const part of ["<memory unit='KiB'>3072<", "<vcpu>2<", 'network="it&apos;s"'])
      expect(defined[0]).toContain(part);
  });

  test.each([
    [{ memory: 512 }, "<memory unit='KiB'>131072</memory>", /memory: it has 128 instead of 512/],
    [{ vcpus: 8 }, "<vcpu>2</vcpu>", /vcpus: it has 2 instead of 8/],
    [{ vcpus: 8 }, "<vcpu current='4'>8</vcpu>", /vcpus: it has 4 instead of 8/],
    [
      { network: "lan" },
      "<devices><interface type='network'><source network='default'/></interface></devices>",
      /network: it has default instead of lan/,
    ],
  ])("%j that libvirt does not take: nothing is left", async (asked, made, message) => {
    const { context, verbs } = cloning(SOURCE, {
      answer: (verb, ...words) =>
        verb === "dumpxml" && !words.includes("base") ? `<domain>${made}</domain>` : undefined,
    });
    await expect(deploy({ ...input, ...asked, autostart: true }, context)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
    expect(verbs()).not.toContain("start");
    expect(verbs()).toContain("undefine");
    expect(verbs().at(-1)).toBe("vol-delete");
    expect(notes()).toEqual([]);
  });

  test("a network named by its UUID is stored by its name", async () => {
    const { context, defined } = cloning(SOURCE, {
      answer: (verb) => (verb === "net-info" ? "Name:           lan\nUUID: 1\n" : undefined),
    });
    const uuid = "7d0c5b7e-6f0e-4d0b-9f57-1d1b2e1f5a11";
    await deploy({ ...input, network: uuid }, context);
    expect(defined[0]).toContain('<source network="lan"/>');
  });

  test("as it is asked: nothing is started, and no program needed", async () => {
    const { context, ran, verbs } = cloning(SOURCE);
    expect((await deployOne({ ...input, customize: {} }, context)).started).toBe(false);
    expect(verbs()).not.toContain("start");
    expect(guestfs(ran, "virt-customize")).toBeUndefined();
  });

  test("customize: commands on standard input, no secret in an argv", async () => {
    const { context, ran } = cloning(SOURCE);
    const asked: [string[], string | undefined][] = [];
    const { exec } = context;
    context.exec = async (argv, options) => {
      asked.push([argv, options?.input]);
      return exec(argv, options);
    };
    const customize = { hostname: "web", root_password: "secret", packages: ["nginx"] };
    await deploy({ ...input, customize }, context);
    const [argv = [], said] =
      asked.find(([one]) => one.includes("virt-customize") && one[0] === "env") ?? [];
    expect(said).toBe("hostname web\nroot-password password:secret\ninstall nginx\n");
    expect(JSON.stringify(ran)).not.toContain("secret");
    expect(argv).not.toContain("--no-network"); // the package comes from somewhere
    expect(argv).toContain("/pool/web.qcow2");
  });

  test("a network that does not exist: nothing is begun", async () => {
    const missing = new HyperError("not_found", "Network not found");
    const { context, verbs } = cloning(SOURCE, {
      answer: (verb) => (verb === "net-info" ? missing : undefined),
    });
    await expect(deploy({ ...input, network: "x" }, context)).rejects.toBe(missing);
    expect(verbs()).toEqual(["net-info"]);
  });

  test("a start that fails: domain and disk go, the last first", async () => {
    const no = new HyperError("virsh_failed", "no memory");
    const { context, calls } = cloning(SOURCE, {
      answer: (verb) => (verb === "start" ? no : undefined),
    });
    await expect(deploy({ ...input, autostart: true }, context)).rejects.toBe(no);
    const undone = calls.slice(calls.findIndex(([verb]) => verb === "start") + 1);
    const changes = undone.filter(([verb]) => /^(destroy|undefine|vol-delete)$/.test(`${verb}`));
    expect(changes.map(([verb]) => verb)).toEqual(["destroy", "undefine", "vol-delete"]);
    expect(notes()).toEqual([]);
  });

  test.each(["define", "autostart", "start"])(
    "a caller who leaves during %s: domain and disk go",
    async (step) => {
      const { context, caller, verbs } = cloning(SOURCE, {
        answer(verb) {
          if (verb === step) caller.abort();
          return undefined;
        },
      });
      await expect(deploy({ ...input, autostart: true }, context)).rejects.toMatchObject({
        code: "cancelled",
      });
      expect(verbs().slice(-2)).toEqual(["vol-path", "vol-delete"]);
      expect(verbs()).toContain("undefine");
      if (step === "define") expect(verbs()).not.toContain("start");
    },
  );

  describe("cloud_init", () => {
    const MARKED = SOURCE.replace(
      "<memory",
      "<metadata><hypersdk:template xmlns:hypersdk='urn:hypersdk:template:1'/></metadata><memory",
    );
    /** The steps that make something. */
    const making = (calls: string[][]) =>
      calls
        .map(([verb]) => `${verb}`)
        .filter((verb) => /^(vol-create|vol-upload|define|start)$/.test(verb));

    test("the seed comes after the disks and before the domain, in the first disk's pool", async () => {
      const { context, calls, defined } = cloning(SOURCE);
      const { seed, linked } = await deployOne(
        { ...input, start: true, cloud_init: { password: "hunter2" } },
        context,
      );
      expect(seed).toEqual({ pool: "pool", volume: "web-seed.iso", path: "/pool/web-seed.iso" });
      expect(linked).toBe(false); // the source is no template
      expect(making(calls)).toEqual(["vol-create", "vol-create", "vol-upload", "define", "start"]);
      expect(defined[0]).toContain('<source file="/pool/web-seed.iso"');
      expect(JSON.stringify(calls)).not.toContain("hunter2");
    });

    test("linked where a template has the mark, and as it is asked", async () => {
      const linked = async (source: string, change: object) => {
        const answer = await deploy({ ...input, ...change }, cloning(source).context);
        return "linked" in answer ? answer.linked : answer.results.map((one) => one.linked);
      };
      const many = { name: undefined, name_prefix: "w", count: 2 };
      expect(await linked(MARKED, {})).toBe(false);
      expect(await linked(MARKED, { cloud_init: {} })).toBe(true);
      expect(await linked(MARKED, { cloud_init: {}, linked: false })).toBe(false);
      expect(await linked(MARKED, many)).toEqual([true, true]);
      expect(await linked(SOURCE, many)).toEqual([false, false]);
      expect(await linked(SOURCE, { ...many, linked: true })).toEqual([true, true]);
    });

    test("many: each has its own texts; one that fails does not stop the others", async () => {
      const taken = new HyperError("already_exists", "taken");
      const { context, defined } = cloning(SOURCE, {
        answer: (verb, ...words) =>
          verb === "vol-create" && words.at(-1)?.includes("<name>web-3-seed.iso<")
            ? taken
            : undefined,
      });
      const written: Record<string, string> = {};
      context.overwrite = async (path, content) => {
        written[path] = Buffer.from(content).toString("latin1");
        return true;
      };
      const many = { template: "base", name_prefix: "web", count: 3, start_index: 2 };
      const answer = await deploy(
        { ...many, cloud_init: { user_data: "I am {{name}}\n" } },
        context,
      );
      expect(answer).toMatchObject({
        operation: "deploy",
        total: 3,
        successful: 2,
        failed: 1,
        results: [
          { domain: "web-2", success: true, disks: ["/pool/web-2.qcow2"], started: false },
          { domain: "web-3", success: false, code: "already_exists", error: "taken" },
          { domain: "web-4", success: true, seed: { volume: "web-4-seed.iso" } },
        ],
      });
      expect(defined).toHaveLength(2);
      expect(written["/pool/web-4-seed.iso"]).toContain("I am web-4\n");
      expect(notes()).toEqual([]);
    });

    test("a start that fails: the seed goes too", async () => {
      const no = new HyperError("virsh_failed", "no memory");
      const { context, calls } = cloning(SOURCE, {
        answer: (verb) => (verb === "start" ? no : undefined),
      });
      await expect(deploy({ ...input, start: true, cloud_init: {} }, context)).rejects.toBe(no);
      const gone = calls.filter(([verb]) => verb === "vol-delete").map((words) => words.at(-1));
      expect(gone).toEqual(["web-seed.iso", "web.qcow2"]);
    });

    test("no disk in a pool: seed_pool says where the seed goes", async () => {
      const none = SOURCE.replace(/<disk.*<\/disk>/, "");
      const { context } = cloning(none);
      await expect(deploy({ ...input, cloud_init: {} }, context)).rejects.toMatchObject({
        code: "unsupported",
        message: expect.stringMatching(/^cloud_init: no disk of web is in a pool/),
      });
      const given = { ...input, cloud_init: {}, seed_pool: "other" };
      expect((await deployOne(given, cloning(none).context)).seed?.pool).toBe("other");
    });
  });

  test.each([
    [{ memory: 0 }, /^memory: /],
    [{ vcpus: 0.5 }, /^vcpus: /],
    [{ network: "" }, /^network: /],
    [{ customize: { hostname: "a b" } }, /^customize\.hostname: must be a host name/],
    [{ customize: { upload: "x" } }, /unknown key "upload"/],
    [{ autostart: 1 }, /^autostart: /],
    [{ target: "x" }, /unknown key "target"/],
    [{ name: undefined }, /^name: required \(string\), or name_prefix and count/],
    [{ count: 2 }, /^count: is for several domains, and name for one/],
    [{ name_prefix: "w" }, /^name_prefix: is for several domains/],
    [{ name: undefined, count: 2 }, /^name_prefix: required beside count/],
    [{ name: undefined, name_prefix: "w" }, /^count: required beside name_prefix/],
    [{ name: undefined, name_prefix: "w", count: 0 }, /^count: /],
    [{ start_index: 2 }, /^start_index: is for several domains/],
    [{ seed_pool: "p" }, /^seed_pool: is for cloud_init/],
    [{ wait: { for: "ssh" } }, /^wait: needs start or autostart/],
    [{ wait: { for: "x" }, start: true }, /^wait\.for: /],
    [{ wait: { for: "cloud-init", eject: true }, start: true }, /^wait\.eject: is for cloud_init/],
    [{ cloud_init: { user_data: 1 } }, /^cloud_init\.user_data: /],
    [
      { cloud_init: { hostname: "w{{index}}" } },
      /^cloud_init\.hostname: must be .*for domain web$/,
    ],
    [
      { name: undefined, name_prefix: "a b", count: 2, cloud_init: { hostname: "{{name}}" } },
      /^cloud_init\.hostname: must be .*for domain a b-1$/,
    ],
  ])("%j is refused", async (change, message) => {
    const { context, calls } = cloning(SOURCE);
    await expect(deploy({ ...input, ...change } as never, context)).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
    expect(calls).toEqual([]);
  });
});

describe("list", () => {
  const mark = `<metadata><hypersdk:template xmlns:hypersdk="urn:hypersdk:template:1" source="s" created="c" sealed="yes"><hypersdk:description>d</hypersdk:description></hypersdk:template></metadata>`;
  const uuid = (i: number) => `${i}`.padStart(36, "0");
  const all = ["golden", "my Template", "off", "runs"];
  const having = (text: (i: number) => string | HyperError) =>
    answering((verb, ...words) => {
      if (verb === "list")
        return all
          .flatMap((name, i) =>
            words.includes("--all") || i === 2 ? [`${uuid(i)} ${name}\n`] : [],
          )
          .join("");
      return text(Number(words[1]));
    });

  test("the marked, the named and those that are off, each with why", async () => {
    const fake = having((i) => `<domain>${i === 0 ? mark : ""}</domain>`);
    const { templates, total } = await list({}, fake);
    expect(total).toBe(3);
    expect(templates.map(({ name, why }) => [name, why])).toEqual([
      ["golden", ["marked"]],
      ["my Template", ["name"]],
      ["off", ["shut off"]],
    ]);
    expect(templates[0]?.template).toMatchObject({ source: "s", sealed: true, description: "d" });
    expect(templates[1]?.template).toBeNull();
  });

  test("a domain that goes away meanwhile is no reason to fail", async () => {
    const gone = new HyperError("not_found", "gone");
    const fake = having(() => gone);
    expect((await list({}, fake)).templates.map(({ name }) => name)).toEqual([
      "my Template",
      "off",
    ]);
  });
});

test.each([
  [{}, /^template: required .*; export_path: required/],
  [{ template: "t", export_path: "x" }, /^export_path: must be an absolute path/],
  [{ template: "t", export_path: "/x", compress: 9 }, /^compress: /],
  [{ template: "t", export_path: "/x", format: "ova" }, /unknown key "format"/],
])("export: %j is refused", async (input, message) => {
  const { context, calls } = cloning(SOURCE);
  await expect(exportTemplate(input as never, context)).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
  expect(calls).toEqual([]);
});
