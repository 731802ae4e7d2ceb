/** The virsh that migrates: its words, its end, and how it is told to stop. */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HyperError } from "../../core/errors.ts";
import { runLocally } from "../../hypervisor/local.ts";
import { virshError, virshMessages } from "../../hypervisor/virsh-errors.ts";
import { type Daemon, forwardDaemon } from "./daemon.ts";
import type { DiskPlan } from "./disks.ts";
import { type Postcopy, switching } from "./postcopy.ts";
import { isMoved, retargeted } from "./retarget.ts";
import { addressOf, migrateUri } from "./route.ts";
import type { Sides } from "./sides.ts";
import type { MigrateWish } from "./wish.ts";

/** Upper bound, against hung processes. */
const MIGRATE_TIMEOUT_MS = 7 * 24 * 3600 * 1000;
/** Until a migration that was told to stop is cut off. */
const ABORT_MS = 30_000;
const ABORT_AGAIN_MS = 1000;

/** Throws with libvirt's reason, `cancelled`, or `timed_out`. The domain may be on either side then. */
export async function runMigration(
  sides: Sides,
  plan: DiskPlan,
  paths: Map<string, string>,
  wish: MigrateWish,
) {
  const { source, target, uuid } = sides;
  const daemons: Daemon[] = [];
  try {
    const [from, to] = [await forwardDaemon(source), await forwardDaemon(target)];
    daemons.push(from, to);
    const named = namer([
      [from.uri, source.host],
      [to.uri, target.host],
    ]);
    const address = migrateUri(await addressOf(sides));
    const files = await definitions(sides, plan, paths, dirname(to.forward.path));
    const words = [...optionsOf(plan, wish), ...files, "--migrateuri", address];
    const connect = ["virsh", "-q", "-k", "5", "-K", "6", "-c", from.uri];
    const command = ["migrate", "--live", "--domain", uuid, "--desturi", to.uri];
    source.log.info(`virsh migrates the domain; its memory goes to ${address}.`);
    const postcopy = switching(sides, wish);
    const stop = stopping(sides, wish, postcopy);
    try {
      const limits = { timeout: MIGRATE_TIMEOUT_MS, signal: stop.cut };
      const { exitCode, stderr } = await runLocally([...connect, ...command, ...words], limits);
      if (exitCode === 0) return;
      const refusal = from.forward.refusal ?? to.forward.refusal;
      throw stop.why ?? refusal ?? reasonOf(named(stderr), target.host);
    } catch (error) {
      throw stop.why ?? error;
    } finally {
      stop.end();
      postcopy.end();
    }
  } finally {
    for (const { forward } of daemons) forward.close();
  }
}

/** Nobody knows the sockets that the libvirtd are behind here. */
const namer =
  (ends: [uri: string, host: string][]) =>
  (text: string): string =>
    ends.reduce((told, [uri, host]) => told.replaceAll(uri, `libvirtd of ${host}`), text);

/** libvirt's words without warnings of other programs. */
function reasonOf(stderr: string, target: string): HyperError {
  const messages = virshMessages(stderr).map((text) => text.replace(/^\*\* WARNING.*\n?/gm, ""));
  const error = virshError(messages, "migrate");
  if (!/Postcopy is not supported/i.test(error.message)) return error;
  const text = `postcopy_after: QEMU of ${target} may not use userfaultfd, which post-copy needs; allow it there with sysctl vm.unprivileged_userfaultfd=1 (${error.message})`;
  return new HyperError("unsupported", text, { cause: error });
}

function optionsOf({ copies }: DiskPlan, wish: MigrateWish): string[] {
  const { copy_storage, bandwidth, tls, auto_converge, postcopy_after, persistent } = wish;
  const storage = copy_storage === "all" ? "--copy-storage-all" : "--copy-storage-inc";
  const disks = copies.map(({ target }) => target).join(",");
  const rate = `${bandwidth}`;
  return [
    ...(copies.length > 0 ? [storage, "--migrate-disks", disks] : []),
    ...(persistent ? ["--persistent"] : []),
    ...(bandwidth === undefined ? [] : ["--bandwidth", rate]),
    ...(tls ? ["--tls"] : []),
    ...(auto_converge ? ["--auto-converge"] : []),
    ...(postcopy_after === undefined ? [] : ["--postcopy"]),
    ...(postcopy_after === undefined || bandwidth === undefined
      ? []
      : ["--postcopy-bandwidth", rate]),
  ];
}

/** Where a disk has another path there, both definitions are given, in files beside the socket. */
async function definitions(
  { source, uuid, text }: Sides,
  { copies }: DiskPlan,
  paths: Map<string, string>,
  folder: string,
): Promise<string[]> {
  if (!copies.some(isMoved)) return [];
  const dump = ["dumpxml", "--domain", uuid, "--migratable", "--security-info"];
  const write = (name: string, definition: string) => {
    const file = join(folder, name);
    writeFileSync(file, retargeted(definition, copies, paths), { mode: 0o600 });
    return file;
  };
  return [
    ...["--xml", write("live.xml", await source.virsh(dump))],
    ...["--persistent-xml", write("stored.xml", text)],
  ];
}

/**
 * Tells libvirt to stop when the call is cancelled, or too late; and cuts virsh off where that does not help. Not in
 * post-copy: libvirt does not stop it, and where virsh is cut off it takes the migration for failed.
 */
function stopping({ source, uuid }: Sides, { timeout }: MigrateWish, postcopy: Postcopy) {
  const cut = new AbortController();
  const timers: NodeJS.Timeout[] = [];
  let why: HyperError | undefined;
  const abort = () => {
    source.virsh(["domjobabort", "--domain", uuid]).catch(() => {}); // it may not have begun
  };
  const stop = (reason: HyperError) => {
    if (why) return;
    if (postcopy.isOn) {
      source.log.warn(`${reason.message}; in post-copy nothing stops the migration any more.`);
      return;
    }
    postcopy.end();
    why = reason;
    abort();
    timers.push(setInterval(abort, ABORT_AGAIN_MS));
    timers.push(setTimeout(() => postcopy.isOn || cut.abort(), ABORT_MS));
  };
  const onAbort = () => {
    const text = source.job ? "the job was cancelled" : "the client disconnected";
    stop(new HyperError("cancelled", text));
  };
  source.signal.addEventListener("abort", onAbort, { once: true });
  if (source.signal.aborted) onAbort();
  if (timeout !== undefined) {
    const late = `the migration took longer than ${timeout} s, and was given up`;
    timers.push(setTimeout(() => stop(new HyperError("timed_out", late)), timeout * 1000));
  }
  return {
    cut: cut.signal,
    get why() {
      return why;
    },
    end() {
      source.signal.removeEventListener("abort", onAbort);
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
