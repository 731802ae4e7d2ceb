/**
 * The API description against a live server: every example in it is sent, with what it names prepared by virsh,
 * and each answer, good or bad, is checked by Ajv against the schema that is declared for it.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import openapi from "../../../functions/openapi.json.ts";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { at, image, machine, sh, start, virsh, wipe } from "../../fixtures/live/machine.ts";
import { clean, defineNetwork, freeze, thaw } from "../../fixtures/live/virsh.ts";
import {
  type Example,
  examples,
  type Json,
  operations,
  validator,
} from "../../fixtures/openapi.ts";
import { debianGuest } from "../../lab/debian.ts";

const run = promisify(execFile);
const GUESTFS = { LIBGUESTFS_BACKEND: "direct", LIBGUESTFS_BACKEND_SETTINGS: "force_tcg" };
const CONFIG = "/run/openapi.toml";
/** Folders of the reference's examples: in memory, seen in this lab alone. */
const FOLDERS = ["/data", "/backups"];

// the tests are named before there is a server; that it serves the same is seen below
const api: Json = JSON.parse(JSON.stringify(await openapi({})));
const check = validator(api);

const { test, server } = labTest({
  start: () => start(undefined, { ...GUESTFS, HYPERSDK_CONFIG: CONFIG }),
});
const made: string[] = [];
beforeAll(async () => {
  for (const folder of FOLDERS) {
    if (!existsSync(folder)) made.push(folder);
    mkdirSync(folder, { recursive: true });
    await run("mount", ["-t", "tmpfs", "tmpfs", folder]);
  }
  mkdirSync("/backups/templates");
  writeFileSync(CONFIG, '[hosts.dead]\nuri = "qemu+unix:///system?socket=/run/no-such.sock"\n');
});
afterAll(async () => {
  for (const folder of FOLDERS) await run("umount", [folder]);
  for (const folder of made) rmdirSync(folder);
});
const tidy = async () => {
  await wipe();
  await clean();
};

/** Send it as a client that has read the description. */
async function send({ method, path, input }: Example, query = "", init: RequestInit = {}) {
  const fields = method === "GET" ? `${new URLSearchParams(input as Record<string, string>)}` : "";
  const url = `${server.url}${path}?${[fields, query].filter(Boolean).join("&")}`;
  const post = { headers: { "Content-Type": "application/json" }, body: JSON.stringify(input) };
  const response = await fetch(url, { method, ...(method === "POST" && post), ...init });
  const type = response.headers.get("content-type") ?? "";
  const body: Json = type.startsWith("application/json")
    ? await response.json()
    : await response.text();
  return { status: response.status, type, body };
}

type Answer = Awaited<ReturnType<typeof send>>;

/** The answer is one that the description declares. */
function expectDeclared(example: Example, answer: Answer) {
  const text = JSON.stringify(answer).slice(0, 2000);
  expect(check.answer(example, answer), text).toEqual([]);
}

const network = () => defineNetwork("vm-network");
const started = async () => {
  await network();
  await virsh("net-start", "vm-network");
};
const volume = (name: string, size = "1M") =>
  virsh("vol-create-as", "default", name, size, "--format", "qcow2");
/** Domains with a disk of their own. */
const off = async (...names: string[]) => {
  for (const name of names) await machine(name, { disks: [await image(`${name}.qcow2`, "8M")] });
};
const running = async (...names: string[]) => {
  await off(...names);
  for (const name of names) await virsh("start", name);
};
const paused = async (...names: string[]) => {
  await off(...names);
  for (const name of names) await virsh("start", name, "--paused");
};
const snapshot = async () => {
  await off("my-vm");
  await virsh("snapshot-create-as", "my-vm", "before-upgrade");
};
const busy = async () => {
  await started();
  await machine("my-vm", { disks: [await image("my-vm.qcow2")], network: "vm-network" });
  await virsh("start", "my-vm");
};
const template = async () => {
  await started();
  const disks = [await image("ubuntu-22-template.qcow2", "8M")];
  await machine("ubuntu-22-template", { disks, network: "vm-network" });
};

/** What each example needs to succeed, unless it is what `hypersdk new` writes for a new function: NEW. */
const NEEDS: Record<string, () => Promise<unknown>> = {
  "/libvirt/network": () => defineNetwork("default"),
  "/libvirt/networks": network,
  "/libvirt/network/delete": network,
  "/libvirt/network/start": network,
  "/libvirt/network/stop": started,
  "/libvirt/interface/attach": async () => {
    await off("my-vm");
    await network();
  },
  "/libvirt/interface/detach": async () => {
    await off("my-vm");
    await network();
    const nic = ["--type", "network", "--source", "vm-network", "--mac", "52:54:00:12:34:56"];
    await virsh("attach-interface", "my-vm", ...nic, "--config");
  },
  "/libvirt/volumes": () => volume("data-disk"),
  "/libvirt/volume/info": () => volume("data-disk"),
  "/libvirt/volume/clone": () => volume("vm-disk"),
  "/libvirt/volume/resize": () => volume("data-disk", "50G"),
  "/libvirt/volume/delete": () => volume("old-disk"),
  "/libvirt/volume/upload": () => sh("qemu-img create -f vmdk /data/vm-disk.vmdk 8M"),
  "/libvirt/volume/wipe": () => volume("old-disk"),
  "/libvirt/stats": busy,
  "/libvirt/stats/all": busy,
  "/libvirt/stats/cpu": busy,
  "/libvirt/stats/memory": busy,
  "/libvirt/stats/disk": busy,
  "/libvirt/stats/network": busy,
  "/libvirt/batch/start": () => off("vm1", "vm2", "vm3"),
  "/libvirt/batch/stop": () => running("vm1", "vm2", "vm3"),
  "/libvirt/batch/reboot": () => running("vm1", "vm2"),
  "/libvirt/batch/snapshot": async () => {
    await running("vm1");
    await off("vm2");
  },
  "/libvirt/batch/delete": () => off("old-vm1", "old-vm2"),
  "/libvirt/batch/pause": () => running("vm1", "vm2"),
  "/libvirt/batch/resume": () => paused("vm1", "vm2"),
  "/libvirt/clone": () => off("base-vm"),
  "/libvirt/clone/multiple": () => off("web-template"),
  "/libvirt/template/create": async () => {
    await sh(`cp '${debianGuest().disk}' base-ubuntu.qcow2`);
    await virsh("pool-refresh", "default");
    await machine("base-ubuntu", { disks: [at("base-ubuntu.qcow2")] });
  },
  "/libvirt/template/deploy": template,
  "/libvirt/template/list": template,
  "/libvirt/template/export": template,
  "/libvirt/domain": busy,
  "/libvirt/domains": busy,
  "/libvirt/domain/start": () => off("my-vm"),
  "/libvirt/domain/shutdown": () => running("my-vm"),
  "/libvirt/domain/destroy": () => running("my-vm"),
  "/libvirt/domain/reboot": () => running("my-vm"),
  "/libvirt/domain/pause": () => running("my-vm"),
  "/libvirt/domain/resume": () => paused("my-vm"),
  "/libvirt/console": () => {
    const devices = xml`<graphics type="vnc" autoport="yes"/><serial type="pty"/>`;
    return machine("my-vm", { devices }).then(() => virsh("start", "my-vm"));
  },
  "/libvirt/snapshots": snapshot,
  "/libvirt/snapshot/create": () => off("my-vm"),
  "/libvirt/snapshot/revert": snapshot,
  "/libvirt/snapshot/delete": snapshot,
};
const NEW = async () => {
  await off("my-vm");
  await defineNetwork("default");
};

const all = examples(api);
const shown = all.map((example) => [`${example.method} ${example.path}`, example] as const);

test("the server serves this description", async () => {
  expect((await server.get("/openapi.json")).body).toEqual(api);
});

describe("every example, with what it names there", () => {
  afterEach(tidy);
  test.each(shown)("%s", { timeout: 300_000 }, async (_name, example) => {
    await (NEEDS[example.path] ?? NEW)();
    const answer = await send(example);
    expectDeclared(example, answer);
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
    // a batch answers 200 whatever became of its domains
    expect(answer.body.failed ?? 0, JSON.stringify(answer.body.results)).toBe(0);
  });
});

describe("every example, with nothing there", () => {
  afterEach(tidy);
  test.each(shown)("%s", async (_name, example) => {
    expectDeclared(example, await send(example));
  });
});

describe("every kind of mistake", () => {
  test.each(shown)("%s", async (_name, example) => {
    const wrong = async (status: number, query: string, init?: RequestInit) => {
      const answer = await send(example, query, init);
      expectDeclared(example, answer);
      expect(answer.status).toBe(status);
    };
    const json = { "Content-Type": "application/json" };
    await wrong(400, "colour=red");
    await wrong(400, "host=elsewhere");
    if (example.method === "GET") return;
    await wrong(400, "", { headers: json, body: "{" });
    await wrong(400, "", { headers: json, body: JSON.stringify({ ...example.input, colour: 1 }) });
    await wrong(413, "", { headers: json, body: JSON.stringify("x".repeat(2 ** 20)) });
    await wrong(415, "", { headers: { "Content-Type": "text/plain" }, body: "{}" });
  });
});

describe("a hypervisor that cannot be reached", () => {
  test.each(shown)("%s", async (_name, example) => {
    const answer = await send(example, "host=dead");
    expectDeclared(example, answer);
    if (!example.path.startsWith("/libvirt/")) return;
    if (answer.status === 200) {
      for (const { code } of answer.body.results) expect(code).toBe("unreachable");
    } else expect(answer.status, JSON.stringify(answer.body)).toBe(503);
  });
});

test("a hypervisor that does not answer: 504", async () => {
  writeFileSync(CONFIG, "[virsh]\ntimeout = 1\n");
  const impatient = await start(undefined, { HYPERSDK_CONFIG: CONFIG });
  const [example] = all.filter(({ path }) => path === "/libvirt/networks");
  freeze();
  try {
    const { status, headers, body } = await impatient.get("/libvirt/networks");
    expect(status).toBe(504);
    expectDeclared(example as Example, { status, type: `${headers.get("content-type")}`, body });
  } finally {
    thaw();
    await impatient.stop();
  }
});

test("nothing is prepared in vain, and no operation is without an example", () => {
  const paths = new Set(operations(api).map(({ path }) => path));
  expect(Object.keys(NEEDS).filter((path) => !paths.has(path))).toEqual([]);
  expect(new Set(all.map(({ path }) => path))).toEqual(paths);
});
