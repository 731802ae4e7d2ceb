/** The samples from a domain's definition: the kind of the domain and its devices, and the limits of its disks. */
import { readDisk } from "../libvirt/disk.ts";
import { attribute, children, type Element, textOf } from "../libvirt/xml.ts";
import type { MetricName, Sample } from "./names.ts";
import { LIMITS } from "./names-devices.ts";

type Texts = Record<string, string | undefined>;

/** For any domain. */
export function identitySamples(domain: Element): Sample[] {
  const name = textOf(domain, "name");
  return identity(domain).map(([metric, labels]) => info(metric, { domain: name, ...labels }));
}

/** For a running domain. `paths`: of the disks' images, by target, where the definition names a volume instead. */
export function deviceSamples(domain: Element, paths: Map<string, string>): Sample[] {
  const name = textOf(domain, "name");
  return [
    ...children(domain, "devices", "disk").flatMap((disk) => diskSamples(name, disk, paths)),
    ...children(domain, "devices", "interface").flatMap((nic) => nicSamples(name, nic)),
  ];
}

/** A metric that is always 1, for its labels. As in other exporters, a label without a value is empty. */
function info(name: MetricName, texts: Texts): Sample {
  const labels = Object.entries(texts).map(([label, text]) => [label, text ?? ""]);
  return { name, labels: Object.fromEntries(labels), value: 1 };
}

function identity(domain: Element): [MetricName, Texts][] {
  const uuid = textOf(domain, "uuid");
  const type = children(domain, "os", "type")[0];
  const nova = children(domain, "metadata", "nova:instance")[0];
  const instance_name = textOf(nova, "nova:name");
  const flavor = attribute(nova, "name", "nova:flavor");
  const user_name = textOf(nova, "nova:owner", "nova:user");
  const user = attribute(nova, "uuid", "nova:owner", "nova:user");
  const project_name = textOf(nova, "nova:owner", "nova:project");
  const project = attribute(nova, "uuid", "nova:owner", "nova:project");
  const names = { instance_name, user_name, project_name };
  const root_type = attribute(nova, "type", "nova:root");
  const root_uuid = attribute(nova, "uuid", "nova:root");
  const os_type_arch = attribute(type, "arch");
  const os_type_machine = attribute(type, "machine");
  return [
    ["libvirt_domain_info", { os_type: textOf(type), os_type_arch, os_type_machine }],
    [
      "libvirt_domain_openstack_info",
      { ...names, instance_id: uuid, flavor_name: flavor, user_id: user, project_id: project },
    ],
    [
      "libvirt_domain_info_meta",
      { ...names, uuid, flavor, user_uuid: user, project_uuid: project, root_type, root_uuid },
    ],
  ];
}

function diskSamples(domain: string | undefined, disk: Element, paths: Map<string, string>) {
  const { target: target_device, path, name, bus, format, serial, protocol } = readDisk(disk);
  const source_file = path ?? paths.get(target_device) ?? name;
  const driver = children(disk, "driver")[0];
  const cache = attribute(driver, "cache");
  const discard = attribute(driver, "discard");
  const common = { domain, target_device, source_file, serial, driver_type: format };
  const disk_type = attribute(disk, "type");
  const tuned = children(disk, "iotune")[0];
  return [
    info("libvirt_domain_block_stats_info", {
      ...common,
      disk_type,
      target_bus: bus,
      driver_name: attribute(driver, "name"),
      driver_cache: cache,
      driver_discard: discard,
      source_protocol: protocol,
    }),
    info("libvirt_domain_block_meta", { ...common, disk_type, bus, cache, discard }),
    ...LIMITS.flatMap(([element, name]): Sample[] => {
      const limit = textOf(tuned, element);
      const labels = { domain: domain ?? "", target_device };
      return limit === undefined ? [] : [{ name, labels, value: Number(limit) }];
    }),
  ];
}

/** An interface without a device on the host has no counters either. */
function nicSamples(domain: string | undefined, nic: Element): Sample[] {
  const target_device = attribute(nic, "dev", "target");
  if (target_device === undefined) return [];
  const common = { domain, target_device, source_bridge: attribute(nic, "bridge", "source") };
  return [
    info("libvirt_domain_interface_stats_info", {
      ...common,
      interface_type: attribute(nic, "type"),
      mac_address: attribute(nic, "address", "mac"),
      model_type: attribute(nic, "type", "model"),
      mtu_size: attribute(nic, "size", "mtu"),
    }),
    info("libvirt_domain_interface_meta", {
      ...common,
      virtual_interface: attribute(nic, "interfaceid", "virtualport", "parameters"),
    }),
  ];
}
