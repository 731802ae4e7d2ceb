/** POST /libvirt/domain/create: what is said of the domain that was made. */
import { expect, test } from "vitest";
import create from "../../../../functions/libvirt/domain/create.ts";
import { type Changes, creating } from "../../../fixtures/creating.ts";

async function said(input: Parameters<typeof create>[0], changes: Changes = {}) {
  const { message } = create.spec;
  const data = await create(input, creating(changes).context);
  return typeof message === "function" && message(data, create.spec.input.parse(input));
}

test.each([
  [{ name: "web" }, {}, "Domain web created"],
  [{ name: "web", start: true }, {}, "Domain web created and started"],
  [{ name: "web", virt_type: "qemu" as const }, { kvm: false }, "Domain web created"],
  [
    { name: "web" },
    { kvm: false },
    "Domain web created; it is emulated, which is slow: libvirt finds no KVM on the hypervisor",
  ],
])("%j on %j", async (input, changes, text) => {
  expect(await said(input, changes)).toBe(text);
});

test("the answer has every field that was decided", async () => {
  const { context } = creating();
  const input = {
    name: "web",
    disks: [{ size: 1 }],
    cpu: "Nehalem",
    tpm: true,
    boot: ["disk" as const],
  };
  expect(await create(input, context)).toEqual({
    ...{
      name: "web",
      uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      started: false,
      autostart: false,
    },
    ...{ memory: 2048, vcpus: 2, virt_type: "kvm", machine: "pc-q35-7.2", firmware: "bios" },
    ...{ cpu: "Nehalem", graphics: "vnc", tpm: true, boot: ["disk"], seed: null, reasons: {} },
    disks: [
      {
        ...{ target: "vda", device: "disk", bus: "virtio", format: "qcow2" },
        ...{ path: "/pool/web.qcow2", pool: "default", volume: "web.qcow2", made: true },
      },
    ],
    macs: [expect.stringMatching(/^52:54:00:/)],
    networks: [
      {
        network: "default",
        bridge: null,
        model: "virtio",
        mac: expect.stringMatching(/^52:54:00:/),
      },
    ],
  });
});
