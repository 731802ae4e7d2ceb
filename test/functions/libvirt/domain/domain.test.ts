/** POST /libvirt/domain/*: one command each, on the domain that was meant. */
import { describe, expect, test } from "vitest";
import destroy from "../../../../functions/libvirt/domain/destroy.ts";
import pause from "../../../../functions/libvirt/domain/pause.ts";
import reboot from "../../../../functions/libvirt/domain/reboot.ts";
import resume from "../../../../functions/libvirt/domain/resume.ts";
import shutdown from "../../../../functions/libvirt/domain/shutdown.ts";
import start from "../../../../functions/libvirt/domain/start.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

const ALL = [
  ["start", start, "start", "Domain it's started"],
  ["shutdown", shutdown, "shutdown", "Domain it's was asked to shut down"],
  ["destroy", destroy, "destroy", "Domain it's switched off"],
  ["reboot", reboot, "reboot", "Domain it's was asked to reboot"],
  ["pause", pause, "suspend", "Domain it's paused"],
  ["resume", resume, "resume", "Domain it's resumed"],
] as const;
/** start looks first whether another image stands on the domain's disks. */
const READS = ["pool-list", "list"];
const changes = ({ calls }: { calls: string[][] }) =>
  calls.filter(([verb]) => !READS.includes(`${verb}`));

describe.each(ALL)("domain/%s", (_name, call, verb, said) => {
  test("its command, its answer and its message", async () => {
    const fake = answering(() => "");
    expect(await call({ name: "it's" }, fake)).toEqual({ name: "it's" });
    expect(changes(fake)).toEqual([[verb, "--domain", "it's"]]);
    const { message } = call.spec;
    const input = { name: "it's" };
    expect(typeof message === "function" && message(input, input)).toBe(said);
  });

  test("a name that is a number is no ID", async () => {
    const uuid = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
    const fake = answering((one) => (one === "list" ? `${uuid} 7\n` : ""));
    expect(await call({ name: "7" }, fake)).toEqual({ name: "7" });
    expect(changes(fake)).toEqual([[verb, "--domain", uuid]]);
    await expect(call({ name: "8" }, fake)).rejects.toMatchObject({ code: "not_found" });
    expect(changes(fake).length).toBe(1);
  });

  test("what libvirt says is the answer", async () => {
    const no = new HyperError("not_active", "domain is not running");
    const fake = answering((one) => (one === verb ? no : ""));
    await expect(call({ name: "x" }, fake)).rejects.toBe(no);
  });

  test.each([{}, { name: "" }, { name: 7 }, { name: "--all" }, { name: "a/b" }, { name: "a\nb" }])(
    "%j is refused",
    async (input) => {
      const fake = answering(() => "");
      await expect(call(input as never, fake)).rejects.toMatchObject({
        code: "invalid_input",
        message: expect.stringMatching(/^name: /),
      });
      expect(fake.calls).toEqual([]);
    },
  );
});
