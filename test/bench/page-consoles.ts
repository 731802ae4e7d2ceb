/** Consoles, for page.ts: beside a bare TCP proxy in the same process, local and over SSH; and what open ones cost. */
import { readdirSync, readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { log } from "../../runtime/core/log.ts";
import { openAudit } from "../../runtime/http/audit.ts";
import { transportOf } from "../../runtime/hypervisor/registry.ts";
import type { StreamTarget } from "../../runtime/hypervisor/transport.ts";
import { startEcho } from "../fixtures/live/console.ts";
import { machine, virsh } from "../fixtures/live/machine.ts";
import { openSocket } from "../fixtures/socket.ts";
import { startSshd } from "../lab/sshd.ts";
import type { TestServer } from "../server.ts";
import { best, consoleOf, overProxy, proxyBy, roundTrip, throughput } from "./lines.ts";

const GUESTS = 10;
const TIMEOUT = 5000;
const round = (n: number) => Math.round(n * 100) / 100;

type Open = (target: StreamTarget, signal: AbortSignal) => Promise<Duplex>;

/** Each way beside a proxy that does the same without a WebSocket: over SSH, a forward of the same connection. */
export async function consoleFigures() {
  log.level = "error";
  openAudit();
  const sshd = await startSshd();
  const [here, there] = await Promise.all(
    ["qemu:///system", sshd.uri()].map((uri) => transportOf("local", uri)),
  );
  const opener =
    (transport: typeof here): Open =>
    (target, signal) =>
      (transport as NonNullable<typeof here>).openStream(target, { timeout: TIMEOUT, signal });
  const rows = [
    await figures("local", opener(here), overProxy),
    await figures("over SSH", opener(there), await proxyBy(opener(there))),
  ];
  await sshd.stop();
  return rows;
}

async function figures(way: string, open: Open, bare: Parameters<typeof throughput>[0]) {
  const console = consoleOf(open);
  const plain = await best(() => throughput(bare), Math.max);
  const ours = await best(() => throughput(console), Math.max);
  const [plainKey, key] = [
    await best(() => roundTrip(bare), Math.min),
    await best(() => roundTrip(console), Math.min),
  ];
  const tcp = await best(() => roundTrip(overProxy), Math.min);
  return {
    ...{ way, mib_a_second: round(ours), bare: round(plain), share: round(ours / plain) },
    ...{ key_ms: round(key), bare_ms: round(plainKey), plain_tcp_ms: round(tcp) },
  };
}

/** Ten guests, each with its screen and then its serial line open: proportional memory of the server and its programs. */
export async function consoleMemory(server: TestServer) {
  const pool = ["pool-define-as", "default", "dir", "--target", "/var/lib/libvirt/images"];
  await virsh(...pool).catch(() => {}); // it may be there already
  await virsh("pool-start", "default").catch(() => {});
  const names = Array.from({ length: GUESTS }, (_, n) => `echo-${n}`);
  for (const name of names) await startEcho(machine, name);
  const rows = [];
  for (const kind of ["vnc", "serial"]) {
    const path = (name: string) => `/console/${kind}?name=${name}`;
    (await openSocket(server.url, path(names[0] as string))).socket.close(); // what is loaded once
    await Bun.sleep(2000);
    const before = memoryOf(server.pid);
    const open = await Promise.all(names.map((name) => openSocket(server.url, path(name))));
    await Bun.sleep(3000);
    const after = memoryOf(server.pid);
    const each = (part: "server" | "programs") => round((after[part] - before[part]) / GUESTS);
    rows.push({
      ...{ open: `${GUESTS} ${kind}`, server_mb_each: each("server") },
      programs_mb_each: each("programs"),
    });
    for (const { socket } of open) socket.close();
  }
  for (const name of names) await virsh("destroy", name);
  return rows;
}

/** In MB. Pages that processes share count for each by their share. */
function memoryOf(pid: number) {
  const pss = (one: number) => {
    const text = readFileSync(`/proc/${one}/smaps_rollup`, "utf8");
    return Number(/^Pss: +(\d+)/m.exec(text)?.[1]) / 1024;
  };
  const below = childrenOf(pid);
  const sum = below.reduce((all, one) => all + pss(one), 0);
  return { server: pss(pid), programs: sum };
}

function childrenOf(pid: number): number[] {
  const own = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean),
  );
  return own.flatMap((one) => [Number(one), ...childrenOf(Number(one))]);
}
