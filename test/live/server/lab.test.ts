// The lab is a machine of its own: none of what other tests do in it can reach this machine.

import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { slow } from "../../fixtures/slowness.ts";
import { guestSays, tinyGuestXml } from "../../lab/guest.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";

const NETWORK = `<network>
  <name>lab-test</name>
  <forward mode='nat'/>
  <bridge name='virbr-lab'/>
  <ip address='10.99.0.1' prefix='24'><dhcp><range start='10.99.0.10' end='10.99.0.99'/></dhcp></ip>
</network>`;

async function virsh(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)("virsh", ["-q", ...args], { timeout: slow(30_000) });
  return stdout.trim();
}

async function define(kind: "define" | "net-define", xml: string): Promise<void> {
  const file = `/run/lab-test-${kind}.xml`;
  await writeFile(file, xml);
  await virsh(kind, file);
}

describe("what is there before anything is made", () => {
  test("the environment says that this is the lab", () => {
    expect(process.env.HYPERSDK_LAB).toBe("1");
    expect(process.env.LIBVIRT_DEFAULT_URI).toBe("qemu:///system");
  });

  test("every process is the lab's", async () => {
    expect(await readFile("/proc/1/cmdline", "utf8")).toContain("test/lab/inside.sh");
  });

  test("no socket of systemd, D-Bus or firewalld", async () => {
    const sockets = await readdir("/run");
    expect(sockets).not.toContain("systemd");
    expect(sockets).not.toContain("dbus");
  });

  test("libvirt's directories are in memory", async () => {
    const mounts = await readFile("/proc/mounts", "utf8");
    for (const dir of ["/run", "/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt"]) {
      expect(mounts).toContain(`tmpfs ${dir} tmpfs`);
    }
  });

  test("no control groups", async () => {
    expect(await readFile("/proc/mounts", "utf8")).not.toContain("cgroup");
    expect(await readdir("/sys/fs/cgroup")).toEqual([]);
  });
});

describe("a network and a guest", () => {
  beforeAll(async () => {
    await define("net-define", NETWORK);
    await define("define", await tinyGuestXml({ name: "lab-test" }));
  });

  afterAll(async () => {
    await virsh("destroy", "lab-test").catch(() => {});
    await virsh("undefine", "lab-test");
    await virsh("net-destroy", "lab-test");
    await virsh("net-undefine", "lab-test");
  });

  test("a NAT network has its bridge and dnsmasq", async () => {
    await virsh("net-start", "lab-test");
    expect(await readdir("/sys/class/net")).toContain("virbr-lab");
    const pid = (await readFile("/run/libvirt/network/lab-test.pid", "utf8")).trim();
    expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).toContain("dnsmasq");
  });

  test(
    "a guest boots, takes a network card, gives it back, and shuts down",
    async () => {
      await virsh("start", "lab-test");
      await guestSays("lab-test", "READY");
      await virsh(
        "attach-interface",
        "lab-test",
        "network",
        "lab-test",
        "--model",
        "virtio",
        "--live",
      );
      await guestSays("lab-test", "ADDRESS eth0 10.99.0.");
      await virsh("detach-interface", "lab-test", "network", "--live");
      expect(await virsh("domiflist", "lab-test")).toBe("");
      expect(await virsh("dommemstat", "lab-test")).toContain("unused ");
      await virsh("shutdown", "lab-test");
      await expect
        .poll(() => virsh("domstate", "lab-test"), { timeout: slow(30_000) })
        .toBe("shut off");
    },
    slow(120_000),
  );

  test("libvirtd can be killed and comes back with what it had", async () => {
    await stopLibvirtd();
    await expect(virsh("list")).rejects.toThrow("Failed to connect");
    await startLibvirtd();
    expect(await virsh("net-list", "--name")).toBe("lab-test");
  });
});
