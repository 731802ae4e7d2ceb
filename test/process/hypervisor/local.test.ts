/** Programs of this machine: their environment, input, exit code and end. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import { fakeVirsh, until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";

const fake = fakeVirsh();
const { exec, openSession, close } = localTransport("qemu:///fake");
const sh = (script: string, options = {}) =>
  exec(["sh", "-c", script], { timeout: 5000, ...options });
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(async () => {
  await close();
  fake.remove();
});

describe("exec", () => {
  test("answers what it wrote and its exit code, which the caller judges", async () => {
    expect(await sh("echo out; echo err >&2; exit 3")).toEqual({
      stdout: "out\n",
      stderr: "err\n",
      exitCode: 3,
    });
  });

  test("its output is told as it comes, and answered all the same", async () => {
    const told: string[] = [];
    const script = `echo one; read -r line <"${process.env.FAKE_VIRSH}/go"; echo two >&2; echo "$line"`;
    const onOutput = (text: string, stream: string) => {
      told.push(`${stream}: ${text}`);
      // the program goes on once the first line was told
      if (told.length === 1) writeFileSync(`${process.env.FAKE_VIRSH}/go`, "three\n");
    };
    execFileSync("mkfifo", [`${process.env.FAKE_VIRSH}/go`]);
    const answer = await sh(script, { onOutput });
    expect(answer).toEqual({ stdout: "one\nthree\n", stderr: "two\n", exitCode: 0 });
    expect(told[0]).toBe("stdout: one\n");
    expect(told.slice(1).sort()).toEqual(["stderr: two\n", "stdout: three\n"]);
  });

  test("words are handed over as they are, through no shell", async () => {
    const words = ["$(id)", "a b", "'", '"', "*", ";", "ü", ""];
    const { stdout } = await exec(["printf", "[%s]", ...words], { timeout: 5000 });
    expect(stdout).toBe(words.map((word) => `[${word}]`).join(""));
  });

  test("answers are in English, without debug output, and of this hypervisor", async () => {
    vi.stubEnv("LC_ALL", "de_DE.UTF-8");
    for (const name of ["LANGUAGE", "VIRSH_DEBUG", "VIRSH_LOG_FILE"]) vi.stubEnv(name, "0");
    const { stdout } = await exec(["env"], { timeout: 5000 });
    expect(stdout).toMatch(/^LC_ALL=C$/m);
    expect(stdout).toMatch(/^LIBVIRT_DEFAULT_URI=qemu:\/\/\/fake$/m);
    expect(stdout).not.toMatch(/^(LANGUAGE|VIRSH_DEBUG|VIRSH_LOG_FILE)=/m);
  });

  test("standard input is what is given, or empty", async () => {
    const input = "ü\n".repeat(100_000);
    expect((await sh("cat", { input })).stdout).toBe(input);
    expect((await sh("cat")).stdout).toBe("");
    expect((await sh("exec <&-; echo unread", { input })).stdout).toBe("unread\n");
  });

  test("a program that a signal ended has no good exit code", async () => {
    expect((await sh("kill -9 $$")).exitCode).not.toBe(0);
  });

  test.each<["timed_out" | "cancelled", string]>([
    ["timed_out", "sh took longer than 0.2 s"],
    ["cancelled", "sh was cancelled"],
  ])("%s: it ends with all it started", async (code, message) => {
    const caller = new AbortController();
    const options = { timeout: code === "timed_out" ? 200 : 5000, signal: caller.signal };
    const script = `sleep 300 & echo $! >> ${process.env.FAKE_VIRSH}/pids; wait`;
    const call = sh(script, options);
    call.catch(() => {});
    await until(() => fake.processes().length === 1, "the child runs");
    if (code === "cancelled") caller.abort();
    await expect(call).rejects.toMatchObject({ code, message });
    await until(() => fake.processes().length === 0, "the child has ended");
  });

  test("what left its group and holds its output does not hold up the answer", async () => {
    const pids = `${process.env.FAKE_VIRSH}/pids`;
    const started = performance.now();
    const call = sh(`setsid sh -c 'echo $$ >> ${pids}; exec sleep 3' & wait`, { timeout: 200 });
    await expect(call).rejects.toMatchObject({ code: "timed_out" });
    for (const pid of fake.processes()) process.kill(pid, "SIGKILL");
    expect(performance.now() - started).toBeLessThan(slow(1500));
  });

  test("a caller that went away before is told the same, and nothing runs", async () => {
    const script = `echo $$ >> ${process.env.FAKE_VIRSH}/pids`;
    const before = fake.started();
    await expect(sh(script, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "cancelled",
    });
    expect(fake.started()).toBe(before);
  });

  test("a caller that goes away while it starts is noticed", async () => {
    const caller = new AbortController();
    const call = sh("sleep 1", { signal: caller.signal });
    caller.abort();
    await expect(call).rejects.toMatchObject({ code: "cancelled" });
  });

  test("output without end is cut off", { timeout: slow(20_000) }, async () => {
    await expect(exec(["yes"], { timeout: 15_000 })).rejects.toMatchObject({
      code: "command_failed",
      message: expect.stringMatching(/yes printed more than \d+ bytes/),
    });
  });

  test("a program that is not there is named", async () => {
    await expect(exec(["qemu-imgx", "info"], { timeout: 5000 })).rejects.toMatchObject({
      code: "unsupported",
      message: "qemu-imgx is not installed on this machine",
    });
    vi.stubEnv("PATH", "/nonexistent");
    for (const call of [openSession(), exec(["virsh"], { timeout: 5000 })]) {
      await expect(call).rejects.toMatchObject({
        code: "unreachable",
        message: "virsh is not installed on this machine",
      });
    }
  });
});

describe("writing over a file", () => {
  const { overwrite, putText } = localTransport("qemu:///fake");
  const bytes = Buffer.from([0, 255, 128, 10, 0]);
  const at = (name: string) => `${process.env.FAKE_VIRSH}/${name}`;

  test("of the very length, whatever the bytes", async () => {
    writeFileSync(at("volume"), Buffer.alloc(bytes.length));
    expect(await overwrite?.(at("volume"), bytes)).toBe(true);
    expect(readFileSync(at("volume"))).toEqual(bytes);
  });

  test("not of another one, none, a folder's, a link's or a pipe's", async () => {
    writeFileSync(at("long"), "too long");
    symlinkSync(at("volume"), at("link"));
    writeFileSync(at("volume"), Buffer.alloc(bytes.length));
    execFileSync("mkfifo", [at("pipe")]);
    for (const name of ["long", "none", "", "link", "pipe"])
      expect([name, await overwrite?.(at(name), bytes)]).toEqual([name, false]);
    expect(readFileSync(at("long"), "utf8")).toBe("too long");
    expect(readFileSync(at("volume"))).toEqual(Buffer.alloc(bytes.length));
    expect(existsSync(at("none"))).toBe(false);
  });

  test("bytes are a file for a command too", async () => {
    const file = await putText(bytes);
    expect(readFileSync(file.path)).toEqual(bytes);
    file.remove();
  });
});
