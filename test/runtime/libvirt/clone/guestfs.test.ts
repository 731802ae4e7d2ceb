/** libguestfs: how it is called, and what its failures mean. The script before its QEMU runs here for real. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { log } from "../../../../runtime/core/log.ts";
import { type ProgressUpdate, unwatched } from "../../../../runtime/core/progress.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import type { ExecResult } from "../../../../runtime/hypervisor/transport.ts";
import { runGuestfs } from "../../../../runtime/libvirt/clone/guestfs.ts";
import type { Journal } from "../../../../runtime/libvirt/journal.ts";
import { until } from "../../../fixtures/fake.ts";

const work = mkdtempSync(join(tmpdir(), "guestfs-"));
afterAll(() => rmSync(work, { recursive: true }));

/** What each program does; the rest succeeds in silence. */
function hypervisor(run: (argv: string[]) => Partial<ExecResult> | undefined = () => undefined) {
  const ran: [string[], string | undefined][] = [];
  const made: string[] = [];
  const ctx = {
    ...{ host: "kvm1", log, progress: unwatched },
    signal: new AbortController().signal,
    exec: async (argv: string[], options: { input?: string } = {}) => {
      ran.push([argv, options.input]);
      return { stdout: "", stderr: "", exitCode: 0, ...run(argv) };
    },
  } as unknown as Context;
  const journal: Pick<Journal, "track"> = {
    track: async (resource, make) => {
      made.push("path" in resource ? resource.path : "");
      return make();
    },
  };
  return { ctx, journal, ran, made };
}
const disks = [{ target: "vda", path: "/p/a b", format: "qcow2" }];
const isCall = (argv: string[]) => argv[0] === "env";
const event = (reason: string, nospace: boolean) =>
  `{"event": "BLOCK_IO_ERROR", "data": {"device": "hd0", "nospace": ${nospace}, "reason": "${reason}", "action": "stop"}}\n`;

test("in a folder that is noted, made and removed", async () => {
  const { ctx, journal, ran, made } = hypervisor();
  await runGuestfs(ctx, journal, "virt-customize", disks, ["--no-network"], "hostname x\n");
  const [folder = ""] = made;
  expect(folder).toMatch(/^\/tmp\/hypersdk-[0-9a-f-]{36}$/);
  const [argv = [], input] = ran.find(([one]) => isCall(one)) ?? [];
  expect(argv.slice(0, 4)).toEqual([
    ...["env", "LIBGUESTFS_BACKEND=direct"],
    ...[`LIBGUESTFS_TMPDIR=${folder}`, `XDG_RUNTIME_DIR=${folder}`],
  ]);
  expect(argv.slice(-6)).toEqual([
    ...["virt-customize", "--format", "qcow2", "-a", "/p/a b", "--no-network"],
  ]);
  expect(input).toBe("hostname x\n");
  expect(ran.at(-1)?.[0]).toEqual(["rm", "-rf", "--", folder]);
});

test("its steps are told, without the commands, which can hold passwords", async () => {
  const { ctx, journal } = hypervisor();
  const told: ProgressUpdate[] = [];
  const logged: string[] = [];
  const lines = [
    "[   0.0] Examining the guest ...\n[  3.1] Setting the hostname: web1\n[ 10.0] Running: ec",
    "ho secret | passwd\nsecret: of a command\n[ 11.0] Finishing off\n",
  ];
  const watched = {
    ...ctx,
    progress: (update: ProgressUpdate) => void told.push(update),
    log: { ...log, info: (text: string) => void logged.push(text) },
    async exec(argv: string[], options: Parameters<Context["exec"]>[1]) {
      if (isCall(argv)) for (const line of lines) options?.onOutput?.(line, "stdout");
      if (isCall(argv)) options?.onOutput?.("[ 1.0] secret\n", "stderr");
      return { stdout: "", stderr: "", exitCode: 0 };
    },
  } as unknown as Context;
  await runGuestfs(watched, journal, "virt-customize", disks, []);
  expect(told.map(({ phase }) => phase)).toEqual([
    "customizing",
    "customizing: Examining the guest ...",
    "customizing: Setting the hostname",
    "customizing: Running",
    "customizing: Finishing off",
  ]);
  expect(told.every(({ percent }) => percent === null)).toBe(true);
  expect(logged).toContain("virt-customize: Running");
  expect(`${logged}`).not.toMatch(/secret|web1/);
});

describe("a failure", () => {
  test.each<[string, Partial<ExecResult>, string, string, string]>([
    [
      "of the program",
      { exitCode: 1, stderr: "virt-sysprep: error: x\n" },
      "",
      "command_failed",
      "virt-sysprep: virt-sysprep: error: x",
    ],
    [
      "of the disk, when there is no space",
      { exitCode: 1, stderr: "appliance closed the connection" },
      event("No space left on device", true),
      "no_space",
      "virt-sysprep: the disk: No space left on device",
    ],
    [
      "of the disk, which the program did not notice",
      { exitCode: 0 },
      event("Input/output error", false),
      "command_failed",
      "virt-sysprep: the disk: Input/output error",
    ],
  ])("%s", async (_what, done, error, code, message) => {
    const { ctx, journal } = hypervisor((argv) => {
      if (argv[0] === "cat") return error ? { stdout: error } : { exitCode: 1 };
      return isCall(argv) ? done : undefined;
    });
    const call = runGuestfs(ctx, journal, "virt-sysprep", disks, []);
    await expect(call).rejects.toMatchObject({ code, message });
  });

  test("of a folder that cannot be made", async () => {
    const { ctx, journal } = hypervisor(([program]) =>
      program === "sh" ? { exitCode: 1, stderr: "mkdir: No space left on device" } : undefined,
    );
    const call = runGuestfs(ctx, journal, "virt-sysprep", disks, []);
    await expect(call).rejects.toMatchObject({ code: "no_space" });
  });
});

describe("the script before QEMU", () => {
  /** Prepare the folder as the hypervisor would, with a QEMU that does as `qemu` says. */
  async function prepared(name: string, qemu: string) {
    const folder = join(work, name);
    const { ctx, journal, ran } = hypervisor();
    await runGuestfs(ctx, journal, "virt-sysprep", disks, []);
    const [[, , script] = [], text] = ran[0] ?? [];
    const fake = join(work, `${name}-qemu`);
    writeFileSync(fake, `#!/bin/sh\n${qemu}\n`, { mode: 0o755 });
    const env = { ...process.env, LIBGUESTFS_HV: fake };
    const made = spawnSync("sh", ["-c", `${script}`, "sh", folder], { input: text, env });
    expect([made.status, `${made.stderr}`]).toEqual([0, ""]);
    return folder;
  }
  const start = (folder: string, ...argv: string[]) =>
    spawnSync(join(folder, "hv"), argv, { encoding: "utf8", timeout: 10_000 });

  test("a question is passed on as it is", async () => {
    const folder = await prepared("question", 'printf "%s|" "$@"');
    expect(start(folder, "-device", "?", "a b").stdout).toBe("-device|?|a b|");
    expect(existsSync(join(folder, "events.in"))).toBe(false);
  });

  test("the first disk error is kept and ends it; the socket goes when it is connected", async () => {
    // as QEMU: it greets, waits for the capabilities, and tells what happens
    const qemu = `for word; do case $word in pipe,*path=*) at=\${word##*path=};; esac; done
exec 3<>"$at.in" 4<>"$at.out"
echo '{"QMP": {}}' >&4; read -r said <&3; echo "$said" >"\${0%/*}/said"
echo '{"event": "RESUME"}' >&4
echo '${event("No space left on device", true).trim()}' >&4
exec sleep 60`;
    const folder = await prepared("error", qemu);
    const socket = join(work, "libguestfsAbCdEf/guestfsd.sock");
    mkdirSync(join(socket, ".."));
    writeFileSync(socket, "");
    const chardev = `socket,path=${socket},id=channel0`;
    const { signal } = start(folder, "-drive", "file=/p/a b,id=hd0,if=none", "-chardev", chardev);
    expect(signal).toBe("SIGKILL");
    expect(readFileSync(join(folder, "error"), "utf8")).toContain('"nospace": true');
    expect(readFileSync(join(folder, "said"), "utf8")).toBe('{"execute":"qmp_capabilities"}\n');
    expect(existsSync(join(socket, ".."))).toBe(false);
  });

  test("a machine that ends well leaves no error", async () => {
    const qemu = `for word; do case $word in pipe,*path=*) at=\${word##*path=};; esac; done
exec 3<>"$at.in" 4<>"$at.out"
echo '{"QMP": {}}' >&4; read -r said <&3; echo '{"event": "SHUTDOWN"}' >&4; exit 0`;
    const folder = await prepared("well", qemu);
    expect(start(folder, "-drive", "file=x,id=hd0,if=none").status).toBe(0);
    await until(() => existsSync(join(folder, "error"))); // the reader of events may be slower
    expect(readFileSync(join(folder, "error"), "utf8")).toBe("");
  });
});

test.each([
  ["virt-sysprep", /^seal: no operating system was found on the disks$/],
  ["virt-customize", /^customize: no operating system was found on the disks$/],
])("%s on disks without an operating system: the field is named", async (program, message) => {
  const stderr = `${program}: error: no operating systems were found in the guest image\n`;
  const { ctx, journal } = hypervisor((argv) =>
    isCall(argv) ? { exitCode: 1, stderr } : undefined,
  );
  await expect(runGuestfs(ctx, journal, program, disks, [])).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
});
