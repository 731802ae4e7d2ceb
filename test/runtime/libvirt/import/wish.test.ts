/** The fields that errors name: those of the way in, and not those of domain/create. */
import { expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { asImport, networkFields } from "../../../../runtime/libvirt/import/wish.ts";
import { asWorkflow } from "../../../../runtime/libvirt/import/workflow-input.ts";

const failing = (text: string) => async () => {
  throw new HyperError("invalid_input", text);
};

test.each([
  ["name: domain 'web' already exists", "vm_name: domain 'web' already exists"],
  ["vcpus: at most 8", "cpus: at most 8"],
  ["networks[0].mac: domain a has it already", "keep_macs: domain a has it already"],
  ["networks[0].network: not found", "network: not found"],
  ["disks[0].bus: no ide", "bus: no ide"],
  ["disks[0].size: pool lvm has 1 MiB left", "pool: pool lvm has 1 MiB left"],
  ["disks[0].size and disks[1].size: pool lvm has 1 MiB", "pool: pool lvm has 1 MiB"],
  ["osinfo: unknown", "osinfo: unknown"],
  [
    "networks[0].network: network 'default' not found; create it, name another, or give networks: [] for none",
    "network: network 'default' not found; create it, name another, or give null for none",
  ],
])("of an import: %s", async (text, expected) => {
  await expect(asImport(failing(text))).rejects.toMatchObject({ message: expected });
});

test("of an import: the field that names the network", async () => {
  const networks = ["VM Network", "DMZ", "Storage"].map((network) => ({ network, mac: undefined }));
  const fields = networkFields({ networks }, { networks: { "VM Network": null, Storage: "lan" } });
  expect(fields).toEqual(["network", "networks"]);
  const none = { network: null, networks: { "VM Network": "lan" } };
  expect(networkFields({ networks }, none)).toEqual(["networks"]);
  for (const [i, field] of fields.entries()) {
    const refused = asImport(failing(`networks[${i}].network: not found`), fields);
    await expect(refused).rejects.toMatchObject({ message: `${field}: not found` });
  }
});

test.each([
  ["cpus: at most 8", "vcpus: at most 8"],
  ["firmware: no UEFI", "uefi: no UEFI"],
  ["drivers: there are none", "virtio_drivers: there are none"],
  ["pool: not found", "pool: not found"],
])("of a workflow: %s", async (text, expected) => {
  await expect(asWorkflow(failing(text))).rejects.toMatchObject({
    ...{ code: "invalid_input", message: expected },
  });
});
