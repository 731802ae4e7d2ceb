/** The models of network interfaces that QEMU knows. libvirt stores any name in a domain that is off, which then cannot start. */
import * as z from "zod";

export const InterfaceModel = z.enum([
  "virtio",
  "virtio-transitional",
  "virtio-non-transitional",
  "e1000",
  "e1000e",
  "igb",
  "rtl8139",
  "vmxnet3",
  "ne2k_pci",
  "pcnet",
  "usb-net",
  "spapr-vlan",
]);
