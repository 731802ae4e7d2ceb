/**
 * The API description against a live server: every example in it is sent, with what it names prepared by virsh,
 * and each answer, good or bad, is checked by Ajv against the schema that is declared for it.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import openapi from "../../../functions/openapi.json.ts";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { type ImageServer, serveImages } from "../../fixtures/image-server.ts";
import { bootSector, pack, rawDisks, vmwareOvf } from "../../fixtures/live/appliances.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  image,
  machine,
  programs,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { clean, defineNetwork, freeze, thaw } from "../../fixtures/live/virsh.ts";
import {
  type Example,
  examples,
  type Json,
  operations,
  validator,
} from "../../fixtures/openapi.ts";
import { type HttpReceiver, receiveHttp } from "../../fixtures/receivers.ts";
import { slow } from "../../fixtures/slowness.ts";

const run = promisify(execFile);
const CONFIG = "/run/openapi.toml";
const SOCKET = "/run/libvirt/libvirt-sock";
/** Folders of the reference's examples: in memory, seen in this lab alone. */
const FOLDERS = ["/data", "/backups"];

// the tests are named before there is a server; that it serves the same is seen below
const api: Json = JSON.parse(JSON.stringify(await openapi({})));
const check = validator(api);

const { test, server } = labTest({
  // what sealing does is tried in test/live/clone/template.test.ts, in half a minute of a core; its answer is the same here
  start: () =>
    start(programs("/run/bin-openapi", { "virt-sysprep": "exit 0" }), { HYPERSDK_CONFIG: CONFIG }),
});
const made: string[] = [];
/** The image of the examples, which is served here. */
const ELSEWHERE = /https:\/\/cloud\.debian\.org\/[^"]+/;
let images: ImageServer;
/** As much of one as is looked at. */
const ISO = Buffer.alloc(2 ** 20);
ISO.write("\x01CD001", 32_768);
beforeAll(async () => {
  for (const folder of FOLDERS) {
    if (!existsSync(folder)) made.push(folder);
    mkdirSync(folder, { recursive: true });
    await run("mount", ["-t", "tmpfs", "tmpfs", folder]);
  }
  mkdirSync("/backups/templates");
  images = await serveImages({ image: new Uint8Array(2 ** 20) });
  const dead = '[hosts.dead]\nuri = "qemu+unix:///system?socket=/run/no-such.sock"\n';
  // the examples' other hypervisors: this libvirtd by another URI
  const others = ["kvm1", "kvm2"]
    .map((alias) => `[hosts.${alias}]\nuri = "qemu+unix:///system?socket=${SOCKET}"\n`)
    .join("");
  const receivers = '[notifications]\nhosts = ["localhost"]\nprivate = ["127.0.0.0/8", "::1"]\n';
  writeFileSync(CONFIG, `${dead}${others}[images]\nhosts = ["${images.host}"]\n${receivers}`);
});
afterAll(async () => {
  await images.close();
  for (const folder of FOLDERS) await run("umount", [folder]);
  for (const folder of made) rmdirSync(folder);
});
/** The job that stands for the one of the examples. */
const EXAMPLE_ID = "7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d";
let jobId = EXAMPLE_ID;

const tidy = async () => {
  for (const name of ["web.ova", "disk.vhdx"]) rmSync(`/data/${name}`, { force: true }); // no later job finds them
  await server.post("/schedules/delete", { name: "evenings" });
  await server.post("/collections/delete", { name: "web" });
  for (const name of ["kvm3", "esx1"]) await server.post("/hosts/remove", { name });
  for (const name of ["crashed", "full", "jobs"])
    await server.post("/alert-rules/delete", { name });
  if (receiver) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ webhook: { enabled: false } });
    await server.get("/notifications/update", { method: "PUT", headers, body });
    await receiver.stop();
    receiver = undefined;
  }
  await wipe();
  await clean();
};

/** Send it as a client that has read the description. */
async function send(example: Example, query = "", init: RequestInit = {}) {
  const { method } = example;
  const path = example.path.replace("{id}", jobId);
  const text = JSON.stringify(example.input ?? {}).replaceAll(EXAMPLE_ID, jobId);
  const input = JSON.parse(text.replace(ELSEWHERE, `${images.url}/image`));
  const content = api.paths[example.path][method.toLowerCase()].requestBody?.content;
  const isJson = content?.["application/json"] !== undefined;
  const fields = isJson ? "" : `${new URLSearchParams(input as Record<string, string>)}`;
  const url = `${server.url}${path}?${[fields, query].filter(Boolean).join("&")}`;
  const post = { headers: { "Content-Type": "application/json" }, body: JSON.stringify(input) };
  const endless = { method, timeout: false }; // Bun gives up after 5 minutes
  const bytes = { body: example.path.includes("/isos/") ? ISO : new Uint8Array(2 ** 20) };
  const sent = isJson ? post : content && bytes;
  const response = await fetch(url, { ...endless, ...sent, ...init });
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
/** A domain with an empty drive, and an ISO for it. */
const drive = async () => {
  await machine("my-vm", {
    devices: xml`<disk type="file" device="cdrom"><target dev="sda" bus="sata"/><readonly/></disk>`,
  });
  await sh("truncate -s 1M /var/lib/libvirt/images/debian-12.iso");
  await virsh("pool-refresh", "default");
};
const template = async () => {
  await started();
  const disks = [await image("ubuntu-22-template.qcow2", "8M")];
  await machine("ubuntu-22-template", { disks, network: "vm-network" });
};

const screen = async () => {
  const devices = xml`<graphics type="vnc" autoport="yes"/><video><model type="vga"/></video><serial type="pty"/>`;
  await machine("my-vm", { devices });
  await virsh("start", "my-vm");
};

const submit = async (more = {}) => {
  const job = { function: "/libvirt/domain/start", input: { name: "my-vm" }, ...more };
  const { body } = await server.post("/jobs/submit", job);
  jobId = body.job_ids[0];
};
/** A job that its function has submitted itself; nothing is there for it. */
const submitOwn = async (path: string, input: object) => {
  jobId = (await server.post(path, input)).body.data.job_id;
};
const ova = async () => {
  const folder = "/run/openapi-ova";
  const [raw = ""] = await rawDisks(folder, bootSector("web"));
  await sh(
    `cd ${folder}; qemu-img convert -O vmdk -o subformat=streamOptimized ${raw} web.vmdk; rm ${raw}`,
  );
  const { size } = statSync(`${folder}/web.vmdk`);
  writeFileSync(
    `${folder}/web.ovf`,
    vmwareOvf({ disks: [{ file: "web.vmdk", size, capacity: 24 * 2 ** 20 }] }),
  );
  await pack(folder, "/data/web.ova", ["web.ovf", "web.vmdk"]);
};
/** The appliance, and the network of its domain. */
const importable = async () => {
  await defineNetwork("default");
  await virsh("net-start", "default");
  await ova();
};
const schedule = async () => {
  const example = all.find(({ path }) => path === "/schedules/create");
  await server.post("/schedules/create", example?.input);
};

let receiver: HttpReceiver | undefined;
const receive = async () => {
  receiver = receiveHttp({ port: 9000 });
};
const rule = async () => {
  const example = all.find(({ path }) => path === "/alert-rules/create");
  await server.post("/alert-rules/create", example?.input);
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
  "/libvirt/isos/upload": async () => writeFileSync("/data/debian-12-netinst.iso", ISO),
  "/libvirt/isos/delete": async () => {
    writeFileSync(at("debian-12.iso"), ISO);
    await virsh("pool-refresh", "default");
  },
  "/libvirt/volume/wipe": () => volume("old-disk"),
  "GET /libvirt/volume/content": () => volume("debian-12"),
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
  "/libvirt/template/create": () => off("base-ubuntu"),
  "/libvirt/template/deploy": template,
  "/libvirt/template/list": template,
  "/libvirt/template/export": template,
  "/libvirt/domain": busy,
  "/libvirt/domains": busy,
  "/libvirt/domain/create": async () => {
    await defineNetwork("default");
    await virsh("net-start", "default");
    await image("debian-12.qcow2", "8M");
    await sh("truncate -s 1M /data/debian-12.iso");
  },
  "/libvirt/domain/delete": () => off("old-vm"),
  "/libvirt/disk/attach": async () => {
    await off("my-vm");
    await image("data-disk", "8M");
  },
  "/libvirt/disk/detach": async () => {
    await machine("my-vm", { disks: [await image("a.qcow2", "8M"), await image("b.qcow2", "8M")] });
  },
  "/libvirt/cdrom/insert": () => drive(),
  "/libvirt/cdrom/eject": async () => {
    await drive();
    await virsh("change-media", "my-vm", "sda", at("debian-12.iso"), "--insert", "--config");
  },
  "/libvirt/domain/start": () => off("my-vm"),
  "/libvirt/domain/shutdown": () => running("my-vm"),
  "/libvirt/domain/destroy": () => running("my-vm"),
  "/libvirt/domain/reboot": () => running("my-vm"),
  "/libvirt/domain/pause": () => running("my-vm"),
  "/libvirt/domain/resume": () => paused("my-vm"),
  "/libvirt/console": () => screen(),
  "/libvirt/domain/send-key": () => screen(),
  "/console/screenshot": () => screen(),
  "/console/serial-device": () => screen(),
  "/libvirt/snapshots": snapshot,
  "/libvirt/snapshot/create": () => off("my-vm"),
  "/libvirt/snapshot/revert": snapshot,
  "/libvirt/snapshot/delete": snapshot,
  "/convert/status": () =>
    submitOwn("/convert/vm", { source_path: "/data/a.ova", dest_path: "/data/a.raw" }),
  "/workflow/status": () =>
    submitOwn("/workflow/convert", { vmdk_path: "/data/a.ova", vm_name: "a" }),
  "/import/kvm": async () => {
    await importable();
    await sh("qemu-img create -f vhdx /data/disk.vhdx 8M");
  },
  "/config/generate": () => importable(),
  "/vmdk/parse": () => ova(),
  "/jobs/cancel": () => submit({ run_at: "2099-01-01T00:00:00Z" }),
  "/schedules/delete": schedule,
  "/schedules/disable": schedule,
  "/schedules/enable": schedule,
  "/schedules/trigger": schedule,
  "/alert-rules/delete": rule,
  "/alert-rules/update": rule,
  "/notifications/update": receive,
  "/collections/delete": () =>
    server.post("/collections/create", { name: "web", query: "state:running" }),
  "/hosts/drain": async () => {}, // nothing is there to move
  "/migration/rollback": snapshot,
  "/hosts/remove": () =>
    server.post("/hosts/add", { name: "kvm3", uri: "qemu+ssh://root@kvm3/system", check: false }),
  "/tags/assign": () => off("web1", "web2", "web3"),
  "/tags/remove": async () => {
    await off("web1", "web2");
    await server.post("/tags/assign", { domains: ["web1", "web2"], tags: ["staging", "prod"] });
  },
  "/vms/info": () => off("web"),
  "/vms/poweroff": () => running("web"),
  "/vms/remove-cdrom": () => off("web"),
  "/vms/shutdown": () => off("web"), // a guest without a system hears nothing
  "/webhooks/test": receive,
};
for (const name of ["job", "jobs/eta", "jobs/logs", "jobs/progress"]) {
  NEEDS[`/${name}`] = () => submit();
  NEEDS[`${name === "job" ? "/jobs" : `/${name}`}/{id}`] = () => submit();
}
const NEW = async () => {
  await off("my-vm");
  await defineNetwork("default");
};

/** What is refused here, with its code: what needs two libvirtd (test/live/remote/migrate), or a browser (test/live/ui). */
const REFUSED: Record<string, RegExp> = {
  "/libvirt/domain/migrate": /^(unsupported|already_exists)$/,
  "/vms/shutdown": /^not_active$/,
  "/ui/session": /^forbidden$/,
  "/ui/sign-out": /^forbidden$/,
};
/** They have no end, and are tried in test/live/events and test/live/ui. */
const STREAMS = [
  ...["/events", "/jobs/watch", "/hosts/watch"],
  ...["/libvirt/domains/watch", "/libvirt/network/watch", "/libvirt/pool/watch"],
];
const all = examples(api).filter(({ path }) => !STREAMS.includes(path));
const shown = all.map((example) => [`${example.method} ${example.path}`, example] as const);

test("the server serves this description", async () => {
  expect((await server.get("/openapi.json")).body).toEqual(api);
});

describe("every example, with what it names there", () => {
  afterEach(tidy);
  test.each(shown)("%s", { timeout: slow(300_000) }, async (_name, example) => {
    const { method, path } = example;
    await (NEEDS[`${method} ${path}`] ?? NEEDS[path] ?? NEW)();
    const answer = await send(example);
    expectDeclared(example, answer);
    if (REFUSED[path] && answer.status >= 300)
      return expect(answer.body.code).toMatch(REFUSED[path]);
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
    // a batch answers 200 whatever became of its domains
    const failed = [answer.body.failed ?? []].flat().filter((one) => one !== 0);
    expect(failed, JSON.stringify(answer.body.results)).toEqual([]);
  });
});

describe("every example, with nothing there", () => {
  afterEach(tidy);
  test.each(shown)("%s", async (_name, example) => {
    expectDeclared(example, await send(example));
  });
});

/** The page and its session are for those without a right, who are told nothing of hypervisors: test/process/server/session. */
const forCallers = shown.filter(([, { path }]) => path !== "/" && !/^\/ui(\/|$)/.test(path));

describe("every kind of mistake", () => {
  test.each(forCallers)("%s", async (_name, example) => {
    const wrong = async (status: number, query: string, init?: RequestInit) => {
      const answer = await send(example, query, init);
      expectDeclared(example, answer);
      expect(answer.status).toBe(status);
    };
    const json = { "Content-Type": "application/json" };
    await wrong(400, "colour=red");
    await wrong(400, "host=elsewhere");
    if (example.method === "GET") return;
    await wrong(415, "", { headers: { "Content-Type": "text/plain" }, body: "{}" });
    if (
      !api.paths[example.path][example.method.toLowerCase()].requestBody.content["application/json"]
    )
      return;
    await wrong(400, "", { headers: json, body: "{" });
    await wrong(400, "", { headers: json, body: JSON.stringify({ ...example.input, colour: 1 }) });
    await wrong(413, "", { headers: json, body: JSON.stringify("x".repeat(2 ** 20)) });
  });
});

describe("a hypervisor that cannot be reached", () => {
  test.each(shown)("%s", async (_name, example) => {
    const answer = await send(example, "host=dead");
    expectDeclared(example, answer);
    if (!example.path.startsWith("/libvirt/")) return;
    if (example.path === "/libvirt/domains/history") return; // it is in the server's own memory
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
  for (const path of STREAMS) paths.delete(path);
  const prepared = Object.keys(NEEDS).map((key) => key.replace(/^GET /, ""));
  expect(prepared.filter((path) => !paths.has(path))).toEqual([]);
  expect(new Set(all.map(({ path }) => path))).toEqual(paths);
});
