/**
 * cloud_init of template/deploy: the seed, by isoinfo and xorriso; whose it is; and a real Debian that cloud-init sets
 * up, all in one boot, as it tells itself over SSH.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { createContext } from "../../../runtime/hypervisor/context.ts";
import { readDisks } from "../../../runtime/libvirt/disk.ts";
import { waitForGuest } from "../../../runtime/libvirt/domain/wait-for-guest.ts";
import { children, xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  everything,
  image,
  machine,
  names,
  parsed,
  STATE,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { defineNetwork, expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { debianGuest, debianOs } from "../../lab/debian.ts";

const { test, server } = labTest({ start });
const run = promisify(execFile);
const AGENT = xml`<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>`;
const folder = mkdtempSync("/run/cloud-init-");

beforeAll(async () => {
  const address = xml`<ip address="10.78.0.1" prefix="24"><dhcp><range start="10.78.0.100" end="10.78.0.199"/></dhcp></ip>`;
  await defineNetwork("cloud", address);
  await virsh("net-start", "cloud");
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "key")]);
});
afterAll(async () => {
  await wipe();
  await virsh("net-destroy", "cloud");
  await virsh("net-undefine", "cloud");
  rmSync(folder, { recursive: true });
});

const deploy = (input: object) => server.post("/libvirt/template/deploy", input);
const remove = async (domains: string[]) =>
  (await server.post("/libvirt/batch/delete", { domains, remove_storage: true })).body.results;
/** A file of a seed, by its Rock Ridge name. */
const read = async (path: string, file: string) =>
  (await run("isoinfo", ["-R", "-i", path, "-x", `/${file}`])).stdout;
const cdroms = async (name: string) =>
  readDisks(await parsed(name)).filter(({ device }) => device === "cdrom");
const files = async () => Object.keys((await everything()).files).sort();

describe("seeds", () => {
  beforeAll(async () => {
    await machine("base", { disks: [await image("base.qcow2")], network: "cloud" });
  });
  afterAll(wipe);

  test("many at once: linked, each with its own seed, which is whole and private", async () => {
    const made = { domain: "base", name: "gold" };
    expectSuccess(await server.post("/libvirt/template/create", made), 201);
    const { results, ...data } = expectSuccess(
      await deploy({
        template: "gold",
        name_prefix: "web",
        count: 3,
        start_index: 7,
        cloud_init: {
          fqdn: "{{name}}.example.org",
          password: "hunter2 {{index}}",
          users: [{ name: "ada", password: "correct horse" }],
          write_files: [{ path: "/etc/who", content: "{{name}} is {{index}}: ü😀\n" }],
          network: {
            ethernets: { all: { match: { name: "e*" }, addresses: ["10.78.0.{{index}}/24"] } },
          },
          vendor_data: "#cloud-config\n{}\n",
        },
      }),
      201,
    );
    expect(data).toMatchObject({ operation: "deploy", total: 3, successful: 3, failed: 0 });
    const of = results.map(({ domain }: { domain: string }) => domain);
    expect(of).toEqual(["web-7", "web-8", "web-9"]);
    expect(results[0]).toMatchObject({ linked: true, started: false, disks: [at("web-7.qcow2")] });
    for (const [i, name] of of.entries()) {
      const path = at(`${name}-seed.iso`);
      const { mode, uid } = statSync(path);
      expect([mode & 0o777, uid]).toEqual([0o600, 0]);
      const uuid = (await virsh("domuuid", name)).trim();
      expect(JSON.parse(await read(path, "meta-data"))).toEqual({
        "instance-id": uuid,
        "local-hostname": `${name}.example.org`,
      });
      const userData = await read(path, "user-data");
      expect(userData).not.toMatch(/hunter2|correct horse/);
      expect(userData).toContain(`"${name} is ${i + 7}: \\u00fc\\U0001f600\\n"`);
      expect(await read(path, "network-config")).toContain(`"10.78.0.${i + 7}/24"`);
      expect(await read(path, "vendor-data")).toBe("#cloud-config\n{}\n");
      const joliet = (await run("isoinfo", ["-J", "-f", "-i", path])).stdout;
      expect(joliet).toMatch(/user-data/);
      const { stderr, stdout } = await run("xorriso", ["-indev", path, "-check_media", "--"]);
      expect(stderr + stdout).toMatch(/Volume id +: 'cidata'/);
      expect(stderr + stdout).not.toMatch(/FAILURE|SORRY|WARNING/);
      const [drive] = await cdroms(name);
      expect(drive).toMatchObject({ path, bus: "scsi", readonly: true });
    }
    const kept = `${server.log()}${readFileSync(join(STATE, "hypersdk/audit.jsonl"), "utf8")}`;
    expect(kept).not.toMatch(/hunter2|correct horse|\$6\$/);
    expect(await virsh("dumpxml", "web-7", "--security-info")).not.toMatch(/hunter|horse|\$6\$/);
    expect((await run("blkid", ["-o", "value", "-s", "LABEL", at("web-7-seed.iso")])).stdout).toBe(
      "cidata\n",
    );
  });

  test("a clone, a template and an export have no part in a seed", async () => {
    expectSuccess(await server.post("/libvirt/clone", { source: "web-7", target: "copy" }), 201);
    const made = { domain: "web-7", name: "silver" };
    expectSuccess(await server.post("/libvirt/template/create", made), 201);
    for (const name of ["copy", "silver"]) {
      expect(await cdroms(name)).toEqual([]);
      expect(children(await parsed(name), "metadata", "hypersdk:seed")).toEqual([]);
    }
    const folder = "/var/lib/libvirt/exports";
    const exported = { template: "web-7", export_path: folder };
    const { path } = expectSuccess(await server.post("/libvirt/template/export", exported));
    expect(readFileSync(`${path}/domain.xml`, "utf8")).not.toMatch(/seed/);
    // deployed again, it has a seed of its own, and the first one's is not touched
    const before = await read(at("web-7-seed.iso"), "meta-data");
    const input = { template: "web-7", name: "again", cloud_init: {}, linked: true };
    const { seed, linked } = expectSuccess(await deploy(input), 201);
    expect([seed.volume, linked]).toEqual(["again-seed.iso", true]);
    expect((await cdroms("again")).map(({ path }) => path)).toEqual([at("again-seed.iso")]);
    expect(await read(at("web-7-seed.iso"), "meta-data")).toBe(before);
    expect(
      (await remove(["again", "copy", "silver"])).map((one: object) => "error" in one),
    ).toEqual([false, false, false]);
    expect((await files()).filter((file) => /again|copy|silver/.test(file))).toEqual([]);
    expect(await names()).toContain("web-7");
  });

  test("goes with its domain's storage, but no other CD-ROM does", async () => {
    await sh("cp web-7-seed.iso tools.iso");
    await virsh("pool-refresh", "default");
    const tools = ["--targetbus", "scsi", "--type", "cdrom", "--mode", "readonly", "--config"];
    await virsh("attach-disk", "web-7", at("tools.iso"), "sdz", ...tools);
    // web-8 has another disc in the drive of its seed
    const [drive] = await cdroms("web-8");
    await virsh(
      "change-media",
      "web-8",
      `${drive?.target}`,
      at("tools.iso"),
      "--update",
      "--config",
    );
    // a domain that libvirt has defined from web-9's definition uses the seed too
    const text = (await virsh("dumpxml", "web-9", "--inactive")).replace(/<mac .*\/>/, "");
    const other = text.replace(/<uuid>.*<\/uuid>/, "").replace("<name>web-9<", "<name>other<");
    await sh(`cat >/run/other.xml <<'END'\n${other}\nEND\nvirsh -q define /run/other.xml`);
    const [seven, eight, nine, last] = [
      ...(await remove(["web-7", "web-8", "web-9"])),
      ...(await remove(["other"])),
    ];
    expect(seven.removed.sort()).toEqual([at("web-7-seed.iso"), at("web-7.qcow2")]);
    expect(seven.kept).toContainEqual({
      path: at("tools.iso"),
      reason: expect.stringMatching(/CD-ROM/),
    });
    expect(eight.removed).toEqual([at("web-8.qcow2")]);
    expect(eight.kept).toContainEqual({
      path: at("web-8-seed.iso"),
      reason: expect.stringMatching(/in no drive of it any more/),
    });
    expect(nine.kept).toContainEqual({
      path: at("web-9-seed.iso"),
      reason: "domain other uses it",
    });
    expect(last.kept).toContainEqual({
      path: at("web-9-seed.iso"),
      reason: expect.stringMatching(/CD-ROM/),
    });
    expect(await names()).toEqual(["base", "gold"]);
  });

  test("a failure leaves nothing: a name that is taken, a seed that is there, no text, no agent", async () => {
    await sh("touch taken-seed.iso");
    await virsh("pool-refresh", "default");
    const before = await everything();
    const cloud_init = { hostname: "h" };
    const taken = await deploy({ template: "gold", name: "taken", cloud_init });
    expectError(taken, 500, "already_exists", /taken-seed\.iso/);
    expectError(
      await deploy({ template: "gold", name: "gold", cloud_init }),
      500,
      "already_exists",
      /gold/,
    );
    const unknown = { template: "gold", name: "n", cloud_init, seed_pool: "nowhere" };
    expectError(await deploy(unknown), 404, "not_found", /nowhere/);
    const text = { template: "gold", name: "n", cloud_init: { user_data: 5 } };
    expectError(await deploy(text), 400, "invalid_input", /^cloud_init\.user_data: /);
    const wait = { for: "agent", timeout: 1 };
    const blind = { template: "gold", name: "n", cloud_init, wait, start: true };
    expectError(
      await deploy(blind),
      500,
      "unsupported",
      /^wait: the domain has no channel of the guest agent/,
    );
    expect(await everything()).toEqual(before);
    await sh("rm taken-seed.iso");
    await virsh("pool-refresh", "default");
  });

  test("a guest that does not come: the answer says what was seen, and the domain stays", async () => {
    const wait = { for: "address", timeout: 1 };
    const answer = await deploy({
      template: "gold",
      name: "silent",
      start: true,
      wait,
      cloud_init: {},
    });
    expectError(
      answer,
      504,
      "timed_out",
      /^wait: domain silent is there and running, but after [\d.]+ s its guest was not: no address; the domain is deployed and stays$/,
    );
    expect(answer.body).toMatchObject({ domain: "silent", state: "running", addresses: [] });
    expect((await virsh("domstate", "silent")).trim()).toBe("running");
    const many = { template: "gold", name_prefix: "s", count: 2, start: true, wait };
    const data = expectSuccess(await deploy(many), 201);
    expect(data).toMatchObject({ total: 2, successful: 0, failed: 2 });
    expect(data.results[1]).toMatchObject({
      domain: "s-2",
      code: "timed_out",
      disks: [at("s-2.qcow2")],
    });
    expect(await names()).toEqual(expect.arrayContaining(["s-1", "s-2"]));
    await remove(["silent", "s-1", "s-2"]);
    expect((await files()).filter((file) => /silent|\/s-/.test(file))).toEqual([]);
  });
});

describe("a Debian", () => {
  afterAll(wipe);

  test("is set up in its first boot, and its seed ejected", {
    timeout: slow(900_000),
  }, async () => {
    await sh(`cp ${debianGuest(true).disk} debian.qcow2`);
    await virsh("pool-refresh", "default");
    const os = debianOs("", true);
    const console = "/run/debian.log";
    const rest = { os, console, network: "cloud", devices: AGENT };
    await machine("debian", { disks: [at("debian.qcow2")], ...rest });
    const key = readFileSync(join(folder, "key.pub"), "utf8").trim();
    const { guest, seed, uuid } = expectSuccess(
      await deploy({
        template: "debian",
        name: "one",
        linked: true,
        memory: 384,
        start: true,
        cloud_init: {
          hostname: "web-1",
          fqdn: "web-1.example.org",
          users: [
            {
              name: "ada",
              password: "hunter2",
              ssh_authorized_keys: [key],
              sudo: true,
              shell: "/bin/bash",
            },
          ],
          write_files: [
            {
              path: "/etc/hello",
              content: "{{name}}: 'ü' \"😀\"\n\\ # $x\n",
              permissions: "0640",
              owner: "root:adm",
            },
          ],
          run_commands: ["echo ran >/run-once", ["touch", "/a b"]],
          network: {
            ethernets: {
              all: {
                match: { name: "e*" },
                addresses: ["10.78.0.7/24"],
                routes: [{ to: "default", via: "10.78.0.1" }],
              },
            },
          },
        },
        wait: { for: "cloud-init", timeout: slow(600), eject: true },
      }),
      201,
    );
    expect(guest.cloud_init).toMatchObject({
      errors: [],
      datasource: expect.stringMatching(/NoCloud/),
    });
    expect(guest.addresses).toContainEqual(
      expect.objectContaining({ address: "10.78.0.7", prefix: 24, source: "agent" }),
    );
    expect(guest.ejected).toBe(true);

    const options = [
      "-i",
      join(folder, "key"),
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
    ];
    const inside = async (script: string) =>
      (
        await run("ssh", [...options, "-o", "BatchMode=yes", "ada@10.78.0.7", script], {
          timeout: slow(60_000),
        })
      ).stdout.trim();
    expect(await inside("hostname; id -un; sudo id -u; echo $SHELL")).toBe(
      "web-1\nada\n0\n/bin/bash",
    );
    expect(
      await inside(
        "sudo cat /etc/hello; sudo stat -c '%a %U:%G' /etc/hello; cat /run-once; ls '/a b'",
      ),
    ).toBe("one: 'ü' \"😀\"\n\\ # $x\n640 root:adm\nran\n/a b");
    expect(await inside("sudo cat /var/lib/cloud/data/instance-id; ip route show default")).toMatch(
      new RegExp(`^${uuid}\ndefault via 10.78.0.1 `),
    );
    // the hash is of the password, by the guest's own libc
    const check =
      "import crypt,spwd; h=spwd.getspnam('ada').sp_pwdp; print(crypt.crypt('hunter2', h) == h)";
    expect(await inside(`sudo python3 -W ignore -c "${check}"`)).toBe("True");

    const ctx = createContext();
    const bySsh = await waitForGuest(ctx, "one", { for: "ssh", timeout: 60, eject: false }, [
      "10.78.0.7",
    ]);
    expect(bySsh.ssh).toMatchObject({
      address: "10.78.0.7",
      greeting: expect.stringMatching(/^SSH-2.0-/),
    });
    for (const sign of ["agent", "address"] as const) {
      const seen = await waitForGuest(ctx, "one", { for: sign, timeout: 60, eject: false });
      expect(seen.addresses.map(({ address }) => address)).toContain("10.78.0.7");
    }

    // what was ejected is gone: in the running domain, in the stored one, in the pool
    for (const flag of [[], ["--inactive"]]) {
      const text = await virsh("dumpxml", "one", ...flag);
      expect(text).not.toMatch(/seed/);
      expect(text).toMatch(/device='cdrom'/);
    }
    expect((await files()).includes(seed.path)).toBe(false);
    const [result] = await remove(["one"]);
    expect(result).toMatchObject({ success: true, removed: [at("one.qcow2")] });
  });

  test("without cloud-init boots as before, with a seed in its drive", {
    timeout: slow(200_000),
  }, async () => {
    await sh(`cp ${debianGuest().disk} plain.qcow2`);
    await virsh("pool-refresh", "default");
    const os = debianOs("systemd.unit=booted.service");
    await machine("plain", { disks: [at("plain.qcow2")], os, console: "/run/plain.log" });
    const input = {
      template: "plain",
      name: "two",
      linked: true,
      start: true,
      cloud_init: { hostname: "x" },
    };
    const { uuid, seed } = expectSuccess(await deploy(input), 201);
    const isOff = async () => (await virsh("domstate", "two")).trim() === "shut off";
    await until("it has booted and powered off", isOff, 150);
    expect(readFileSync("/run/two.log", "utf8")).toContain(`BOOTED ${uuid}`);
    await remove(["two"]);
    expect((await files()).includes(seed.path)).toBe(false);
  });
});
