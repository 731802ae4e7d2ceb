/** Sealing guests that are no Debian: what is there is sealed, and what is not there needs no sealing. */
import { expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  GUESTFS,
  look,
  machine,
  names,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const { test, server } = labTest({ start: () => start(undefined, GUESTFS), tidy: wipe });

const seal = () =>
  server.post("/libvirt/template/create", { domain: "base", name: "gold", seal: true });

/** As much of an operating system as libguestfs needs to know it by. */
async function guest(release: string) {
  await sh(`mkdir -p root/etc/ssh root/bin root/usr root/var/log root/tmp; cd root
    ${release}
    echo '/dev/sda / ext4 defaults 0 1' >etc/fstab; echo x >etc/ssh/ssh_host_rsa_key; cd ..
    truncate -s 64M base.raw; mke2fs -q -F -t ext4 -d root base.raw; rm -r root`);
  await virsh("pool-refresh", "default");
  await machine("base", { disks: [at("base.raw")] });
}

const GUESTS: [what: string, release: string, machineId: string | undefined][] = [
  [
    "Alpine, without a machine-id",
    "echo 3.18.0 >etc/alpine-release; echo alpine >etc/hostname",
    undefined,
  ],
  [
    "an appliance, without a machine-id",
    "printf 'ID=buildroot\\nVERSION_ID=2023\\n' >etc/os-release",
    undefined,
  ],
  [
    "Debian, with a machine-id",
    "echo 12.1 >etc/debian_version; echo 0123456789abcdef0123456789abcdef >etc/machine-id",
    "",
  ],
];
test.for(GUESTS)("%s", { timeout: slow(240_000) }, async ([, release, machineId]) => {
  await guest(release);
  expectSuccess(await seal(), 201);
  const files = await look(at("gold.raw"), "ls -p /etc");
  if (machineId === undefined) expect(files).not.toContain("/machine-id/");
  else expect(await look(at("gold.raw"), "cat /etc/machine-id")).toBe(machineId);
  expect(await look(at("gold.raw"), "ls -p /etc/ssh")).not.toContain("ssh_host_rsa_key");
  expect(await look(at("base.raw"), "ls -p /etc/ssh")).toContain("ssh_host_rsa_key");
});

test("no operating system: a 400 that names the field, and nothing is left", {
  timeout: slow(240_000),
}, async () => {
  await sh("truncate -s 64M base.raw; mke2fs -q -F -t ext4 base.raw");
  await virsh("pool-refresh", "default");
  await machine("base", { disks: [at("base.raw")] });
  expectError(
    await seal(),
    400,
    "invalid_input",
    /^seal: no operating system was found on the disks/,
  );
  expect(await names()).toEqual(["base"]);
  expect(await virsh("vol-list", "default")).not.toContain("gold");
});
