/**
 * What the live tests check with: virsh itself, a process of its own a command, and the kernel's list of
 * processes. Never our own answers. Everything here works on the lab's libvirtd and refuses to on another.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { expect } from "vitest";
import { attribute, children, type Element, parseXml, type Xml, xml } from "../../runtime/xml.ts";
import { tinyGuest } from "../lab/guest.ts";
import type { Answer, TestServer } from "../server.ts";

if (process.env.HYPERSDK_LAB !== "1") {
  throw new Error("live tests need the lab: node test/lab/lab.mjs bun --bun run vitest …");
}

const run = promisify(execFile);

/** The hypervisor of every server that is told of no other, as answers show it. */
export const URI =
  process.env.HYPERSDK_REMOTE === "1"
    ? expect.stringMatching(/^qemu\+ssh:\/\/\w+@127\.0\.0\.1:\d+\/system$/)
    : "qemu:///system";

export const env = { ...process.env, LC_ALL: "C.UTF-8" };

/** What one virsh command prints; rejects when virsh says no. */
export async function virsh(...args: string[]): Promise<string> {
  return (await run("virsh", ["-q", ...args], { env, timeout: 20_000 })).stdout;
}

const lines = (text: string) => text.split("\n").filter((line) => line !== "");

export const networkNames = async () => lines(await virsh("net-list", "--all", "--name"));

/** What `net-info` says, by its own keys; undefined when there is no such network. */
export async function netInfo(name: string): Promise<Record<string, string> | undefined> {
  if (!(await networkNames()).includes(name)) return undefined;
  const rows = lines(await virsh("net-info", "--network", name));
  return Object.fromEntries(rows.map((row) => row.split(/: +/) as [string, string]));
}

export async function netXml(name: string): Promise<Element> {
  return parseXml(await virsh("net-dumpxml", "--network", name), "network");
}

export interface Nic {
  mac: string | undefined;
  network: string | undefined;
  model: string | undefined;
}

/** The interfaces of a domain, as it runs (or, with "--inactive", as it is stored). */
export async function nics(domain: string, ...flags: string[]): Promise<Nic[]> {
  const definition = parseXml(await virsh("dumpxml", "--domain", domain, ...flags), "domain");
  return children(definition, "devices", "interface").map((one) => ({
    mac: attribute(one, "address", "mac"),
    network: attribute(one, "network", "source"),
    model: attribute(one, "type", "model"),
  }));
}

export const storedNics = (domain: string) => nics(domain, "--inactive");

/** Hand a definition to a virsh command that reads a file. */
async function withFile(text: Xml, command: (path: string) => string[]) {
  const folder = await mkdtemp(join(tmpdir(), "live-"));
  try {
    await writeFile(join(folder, "x.xml"), `${text}`);
    await virsh(...command(join(folder, "x.xml")));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** An isolated network without addresses, which needs no dnsmasq; `inner` adds to its definition. */
export async function defineNetwork(name: string, inner = xml``, verb = "net-define") {
  const definition = xml`<network><name>${name}</name>${inner}</network>`;
  await withFile(definition, (file) => [verb, "--file", file]);
}

export interface DomainOptions {
  /** "create" makes a transient domain, which runs. */
  verb?: "define" | "create";
  /** Boot the tiny Linux guest, whose console goes to this file; without it nothing boots. */
  console?: string;
}

/** A small machine; resolves to its UUID, which is never taken for an ID. */
export async function defineDomain(
  name: string,
  { verb = "define", console }: DomainOptions = {},
): Promise<string> {
  const uuid = randomUUID();
  const guest = console ? await tinyGuest() : undefined;
  const definition = xml`<domain type="qemu">
  <name>${name}</name><uuid>${uuid}</uuid><memory unit="MiB">${guest ? 96 : 16}</memory><vcpu>1</vcpu>
  <os>
    <type arch="x86_64" machine="${guest ? "q35" : "pc"}">hvm</type>
    ${guest && xml`<kernel>${guest.kernel}</kernel><initrd>${guest.initrd}</initrd><cmdline>console=ttyS0 quiet</cmdline>`}
  </os>
  <features><acpi/></features>
  <devices>
    <controller type="usb" model="qemu-xhci"/><memballoon model="none"/>
    ${console && xml`<serial type="file"><source path="${console}"/></serial>`}
  </devices>
</domain>`;
  await withFile(definition, (file) => [verb, "--file", file]);
  return uuid;
}

/** Remove every network and domain of the lab. */
export async function clean() {
  for (const id of lines(await virsh("list", "--uuid"))) await virsh("destroy", "--domain", id);
  for (const id of lines(await virsh("list", "--all", "--uuid")))
    await virsh("undefine", "--domain", id);
  for (const name of lines(await virsh("net-list", "--name")))
    await virsh("net-destroy", "--network", name);
  for (const name of await networkNames()) await virsh("net-undefine", "--network", name);
}

/** The processes that run a program of this name now. */
export function processes(program: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return basename(readlinkSync(`/proc/${pid}/exe`)) === program;
      } catch {
        return false; // it has ended
      }
    });
}

/** The virsh processes of a server: its own, or those that its SSH connections have started. */
export function sessions({ pid, sshd }: TestServer): number[] {
  const above = (one: number): boolean =>
    one === (sshd ?? pid) || (one > 1 && above(parentOf(one)));
  return processes("virsh").filter(above);
}

function parentOf(pid: number): number {
  try {
    // after the name in parentheses: state, parent
    return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1]);
  } catch {
    return 0; // it has ended
  }
}

export function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Stop the lab's libvirtd in its tracks: every call hangs until `thaw`. */
export function freeze() {
  process.kill(libvirtd(), "SIGSTOP");
}

export function thaw() {
  process.kill(libvirtd(), "SIGCONT");
}

function libvirtd() {
  return Number.parseInt(readFileSync("/run/libvirtd.pid", "utf8"), 10);
}

/** Wait until it is so; fails after `seconds`. */
export async function until(what: string, done: () => boolean | Promise<boolean>, seconds = 5) {
  const deadline = Date.now() + seconds * 1000;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(20);
  }
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** The envelope of a success; returns its data. */
export function expectSuccess(answer: Answer, status = 200) {
  expect(answer, answer.body.error).toMatchObject({ status, body: { status: "success" } });
  expect(Object.keys(answer.body).sort()).toEqual(["data", "message", "status", "timestamp"]);
  expect(answer.body.message).toMatch(/./);
  expect(answer.body.timestamp).toMatch(RFC3339);
  return answer.body.data;
}

/** The envelope of an error. */
export function expectError(answer: Answer, status: number, code: string, text: RegExp) {
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
  expect(answer.body).toMatchObject({ code, error: expect.stringMatching(text) });
  expect(answer.body.timestamp).toMatch(RFC3339);
  expect(answer.body).not.toHaveProperty("data");
}
