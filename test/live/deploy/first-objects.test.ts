/** What `npm start` makes on a hypervisor that nobody has used yet. */
import { afterEach, expect, test } from "vitest";
import { makeFirstObjects } from "../../../deploy/first-objects.mjs";
import { machine, sh, virsh, wipe } from "../../fixtures/live/machine.ts";

const NETWORK = `<network><name>default</name><bridge name="virbr9"/><forward/><ip address="192.168.122.1" netmask="255.255.255.0"/></network>`;

const list = async (what: "pool" | "net") =>
  (await virsh(`${what}-list`, "--all", "--name")).split(/\s+/).filter(Boolean);

async function withoutPool() {
  await virsh("pool-destroy", "default");
  await virsh("pool-undefine", "default").catch(() => {}); // it may be a transient one
}

afterEach(async () => {
  if (!(await list("pool")).includes("default"))
    await sh(
      "virsh pool-define-as default dir --target /var/lib/libvirt/images; virsh pool-start default",
    );
  await wipe();
});

test("pool and network default, active now and with libvirt; a second time nothing", async () => {
  await withoutPool();
  await sh(`cat >/tmp/net.xml <<'X'\n${NETWORK}\nX\nvirsh net-define /tmp/net.xml`);
  for (let times = 0; times < 2; times++) {
    makeFirstObjects();
    expect(await virsh("pool-info", "default")).toMatch(/State: +running[\s\S]*Autostart: +yes/);
    expect(await virsh("pool-dumpxml", "default")).toContain(
      "<path>/var/lib/libvirt/images</path>",
    );
    expect(await virsh("net-info", "default")).toMatch(/Active: +yes[\s\S]*Autostart: +yes/);
  }
});

test("nothing where there is a domain: somebody has decided already", async () => {
  await withoutPool();
  await machine("vm");
  makeFirstObjects();
  expect(await list("pool")).toEqual([]);
});
