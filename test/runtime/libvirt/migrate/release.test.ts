/** How a source lets its domain go, and how it takes it back. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { log } from "../../../../runtime/core/log.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import type { Outcome } from "../../../../runtime/hypervisor/outcomes.ts";
import { goBack } from "../../../../runtime/libvirt/migrate/back.ts";
import { releaseSource } from "../../../../runtime/libvirt/migrate/release.ts";
import type { Sides } from "../../../../runtime/libvirt/migrate/sides.ts";
import { MigrateWish } from "../../../../runtime/libvirt/migrate/wish.ts";
import { parseXml } from "../../../../runtime/libvirt/xml.ts";
import { answering } from "../../../fixtures/fake.ts";

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
const NVRAM = "/vars/vm.fd";
const TPM = `/var/lib/libvirt/swtpm/${UUID}`;
const UEFI = `<os><nvram>${NVRAM}</nvram></os><devices><tpm><backend type='emulator'/></tpm></devices>`;

type Files = Record<string, string>;

/** A hypervisor with these answers of virsh, and files of these inodes. */
function side(host: string, answers: Record<string, Outcome>, files: Files = {}) {
  const exec = async (argv: string[]) => {
    const inode = files[argv.at(-1) ?? ""];
    if (inode === undefined)
      return { stdout: "", stderr: "ls: x: No such file or directory\n", exitCode: 2 };
    return { stdout: `${inode} 100 0\n`, stderr: "", exitCode: 0 };
  };
  return { ...answering((verb) => answers[verb] ?? ""), exec, host, log };
}

interface Given {
  source?: Record<string, Outcome>;
  target?: Record<string, Outcome>;
  files?: [Files, Files];
  [field: string]: unknown;
}

async function release(
  { source = {}, target = {}, files = [{}, {}], ...more }: Given,
  wish: object = {},
) {
  const [one, other] = [side("a", source, files[0]), side("b", target, files[1])];
  const text = `<domain type='kvm'><name>vm</name>${UEFI}</domain>`;
  const sides = {
    ...{ source: one, target: other, name: "vm", uuid: UUID, active: false, persistent: true },
    ...{ autostart: false, text, domain: parseXml(text, "domain"), ...more },
  } as unknown as Sides;
  const released = await releaseSource(sides, MigrateWish.parse({ name: "vm", to: "b", ...wish }));
  return { ...released, source: one.calls, target: other.calls };
}

const refused = new HyperError("virsh_failed", "no");
const undefined_ = (calls: string[][]) => calls.find(([verb]) => verb === "undefine")?.slice(5);

describe("the firmware's variables and the TPM's state", () => {
  const here = { [NVRAM]: "1", [TPM]: "2" };
  test.each<[Files, string[], string[]]>([
    [{ [NVRAM]: "7", [TPM]: "8" }, ["--nvram", "--tpm"], []],
    [{ [NVRAM]: "1", [TPM]: "8" }, ["--keep-nvram", "--tpm"], []], // of storage that both see
    [here, ["--keep-nvram", "--keep-tpm"], []],
    [{}, ["--keep-nvram", "--keep-tpm"], [NVRAM, TPM]], // where the other's are is not known
  ])("there %j: undefine %j", async (there, flags, left) => {
    for (const copy_storage of ["none", "all"]) {
      const { source, files, isGone } = await release({ files: [here, there] }, { copy_storage });
      expect(undefined_(source)).toEqual(flags);
      expect([files, isGone]).toEqual([left, true]);
    }
  });
});

describe("autostart", () => {
  const words = (host: string, calls: string[][]) =>
    calls.filter(([verb]) => verb === "autostart").map((call) => `${host} ${call.slice(3)}`);
  test("goes to the target alone, also where both sides have the domain", async () => {
    const gone = await release({ autostart: true });
    expect([...words("a", gone.source), ...words("b", gone.target)]).toEqual(["b "]);
    for (const both of [
      await release({ autostart: true }, { undefine_source: false }),
      await release({ autostart: true, source: { undefine: refused } }),
    ]) {
      expect([...words("a", both.source), ...words("b", both.target)]).toEqual([
        "a --disable",
        "b ",
      ]);
      expect(both.warnings).toContain("it starts with a no more");
      expect(both.isGone).toBe(false);
    }
    const failed = await release(
      { autostart: true, source: { autostart: refused } },
      { undefine_source: false },
    );
    expect(failed.warnings).toContain("it still starts with a: no");
  });
});

describe("a source whose QEMU was left paused", () => {
  const live = { live: true, copy_storage: "all" };
  const states = (here: string, there: string, more = {}) =>
    release({ source: { domstate: here }, target: { domstate: there }, ...more }, live);
  test.each([true, false])(
    "is ended before it is undefined; persistent: %s",
    async (persistent) => {
      const { source, isGone } = await states("paused (migrating)", "running (migrated)", {
        persistent,
      });
      const verbs = source
        .map(([verb]) => verb)
        .filter((verb) => /destroy|undefine/.test(`${verb}`));
      expect(verbs).toEqual(persistent ? ["destroy", "undefine"] : ["destroy"]);
      expect(isGone).toBe(true);
    },
  );
  test("stays while the guest fetches its memory from it", async () => {
    const { source, warnings, isGone } = await states("paused (post-copy)", "running (post-copy)");
    expect(source.map(([verb]) => verb)).toEqual(["domstate"]);
    expect(warnings).toEqual([expect.stringMatching(/^a still has the domain, too: .*post-copy/)]);
    expect(isGone).toBe(false);
  });
  test("is not there where all is well", async () => {
    const { source } = await states("shut off (migrated)", "running (migrated)");
    expect(source.map(([verb]) => verb)).not.toContain("destroy");
  });
});

describe("back", () => {
  const info = (more: string) =>
    `Name: vm\nUUID: ${UUID}\nState: shut off\nPersistent: yes\n${more}`;
  const XML = "<domain><name>vm</name><devices/></domain>";
  const onlyVm = (name: string) => {
    if (name !== "vm") throw new HyperError("forbidden", `domain ${name}`);
  };
  const GONE = new HyperError("not_found", "gone");
  function two(more: string, here = "", there = "", itsName = "vm") {
    let isGone = false;
    const fake = answering((verb) => {
      if (verb === "undefine") isGone = true;
      if (verb === "domstate") return isGone ? GONE : "shut off (saved)\n";
      return { dominfo: info(more), dumpxml: XML, "snapshot-list": here }[verb] ?? "";
    });
    const dominfo = `Id:             -\nName:           ${itsName}\n`;
    const answers = { domstate: "shut off (migrated)\n", dumpxml: XML, "snapshot-list": there };
    const origin = { ...side("a", { ...answers, dominfo }), checkDomain: onlyVm };
    const rights = { lookUp: async () => {} };
    const ctx = { ...fake, host: "b", rights };
    const back = () => goBack(ctx as never, UUID, origin as unknown as Context);
    return { back, verbs: fake.verbs, origin };
  }
  test.each([
    ["Managed save: yes\n", "", "", /managed save here, which would be lost/],
    ["", "old\nnew\n", "old\n", /snapshots here that a has not \(new\)/],
  ])("loses nothing that the other has not: %j %j", async (more, here, there, message) => {
    const { back, verbs } = two(more, here, there);
    await expect(back()).rejects.toMatchObject({
      ...{ code: "in_use", message: expect.stringMatching(message) },
    });
    expect(verbs()).not.toContain("undefine");
  });
  test("goes to no domain that has another's name by now", async () => {
    const { back, verbs } = two("", "", "", "db-1");
    await expect(back()).rejects.toMatchObject({ code: "forbidden" });
    expect(verbs()).not.toContain("undefine");
  });
  test("takes autostart with it", async () => {
    const { back, origin } = two("Autostart: enable\n", "old\n", "old\n");
    await back();
    expect(origin.calls).toContainEqual(["autostart", "--domain", UUID]);
    const without = two("Autostart: disable\n");
    await without.back();
    expect(without.origin.verbs()).not.toContain("autostart");
  });
});
