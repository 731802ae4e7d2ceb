/** What the completion scripts ask, on libvirt's own test hypervisor. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { hypersdk } from "../../cli.ts";
import { slow } from "../../fixtures/slowness.ts";

process.env.LIBVIRT_DEFAULT_URI = "test:///default";
const state = mkdtempSync(join(tmpdir(), "complete-"));
process.env.XDG_STATE_HOME = state;
afterAll(() => rmSync(state, { recursive: true }));
vi.setConfig({ testTimeout: slow(60_000) }); // a process for each line, on a machine that may be busy

/** The values offered after these words, and no word on standard error. */
async function offered(...words: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await hypersdk(["complete", "zsh", "--", ...words]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.split("\n").flatMap((line) => (line ? [`${line.split("\t")[0]}`] : []));
}

test.each([
  [["se"], ["serve"]],
  [["comp"], ["completion"]],
  [
    ["completion", ""],
    ["bash", "zsh", "fish"],
  ],
  [
    ["call", "libvirt/network/st"],
    ["libvirt/network/start", "libvirt/network/stop"],
  ],
  [
    ["call", "libvirt/networks", "--h"],
    ["--host", "--help"],
  ],
  [["call", "libvirt/clone", "--a"], ["--async"]],
  [["call", "--host", "lo"], ["local"]],
  [["call", "--host=lo"], ["--host=local"]],
  [["call", "--json", "libvirt/network/start", "n"], ["name="]],
  [["call", "libvirt/network/start", "name=x", "n"], []],
  [["call", "/libvirt/network/start", "name=d"], ["name=default"]],
  [["call", "libvirt/batch/start", "domains=x", "domains[]="], ["domains[]=test"]],
  [
    ["call", "libvirt/batch/start", "domains=x", ""],
    ["domains=", "select=", "paused=", "wait[for]=", "wait[timeout]=", "wait[eject]="],
  ],
  [
    ["call", "libvirt/batch/start", "paused="],
    ["paused=true", "paused=false"],
  ],
  [
    ["call", "libvirt/volume/wipe", "algorithm=p"],
    ["algorithm=pfitzner7", "algorithm=pfitzner33"],
  ],
  [["call", "libvirt/volume/wipe", "volume="], []],
  [["call", "libvirt/template/deploy", "customize[h"], ["customize[hostname]="]],
  [["call", "libvirt/template/create", "met"], ["metadata["]],
  [["call", "libvirt/nowhere", "name="], []],
  [["job"], ["jobs", "job"]],
  [["job", ""], ["cancel"]], // no database runs, and none is started for a Tab
  [["job", "cancel", "--s"], ["--server"]],
  [
    ["jobs", "--state", "c"],
    ["cancelling", "completed", "cancelled"],
  ],
  [
    ["jobs", "--function", "libvirt/network/st"],
    ["libvirt/network/start", "libvirt/network/stop"],
  ],
  [["jobs", "--domain", ""], ["test"]],
  [["jobs", "--host=lo"], ["--host=local"]],
  [["serve", "--"], ["--no-workers"]],
  [["call", "libvirt/networks", "--server", "http://127.0.0.1:9", "--host", ""], []],
  [["call", "libvirt/network", "--server", "http://127.0.0.1:9", "name="], []],
  [["call", "libvirt/network", "--host", "kvm9", "name="], []],
])("%j", async (words, values) => {
  expect(await offered(...words)).toEqual(values);
});
