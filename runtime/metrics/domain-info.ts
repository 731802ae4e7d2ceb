/** The samples that a domain's definition gives: what it and its devices are, and the limits of its disks. */
import { attribute, children, type Element, textOf } from "../libvirt/xml.ts";
import type { MetricName, Sample } from "./names.ts";
import { LIMITS } from "./names-devices.ts";

type Texts = Record<string, string | undefined>;

/** Of any domain. */
export function identitySamples(domain: Element): Sample[] {
  const name = textOf(domain, "name");
  return identity(domain).map(([metric, labels]) => one(metric, { domain: name, ...labels }));
}

/** Of one that runs. `paths`: of the disks' images, by target, for those whose definition names a volume instead. */
export function deviceSamples(domain: Element, paths: Map<string, string>): Sample[] {
  const name = textOf(domain, "name");
  return [
    ...children(domain, "devices", "disk").flatMap((disk) => diskSamples(name, disk, paths)),
    ...children(domain, "devices", "interface").flatMap((nic) => nicSamples(name, nic)),
  ];
}

/** A metric that is always 1, for its labels; one without a value is empty, as exporters have it. */
function one(name: MetricName, texts: Texts): Sample {
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
  const target_device = attribute(disk, "dev", "target") ?? "";
  const source = children(disk, "source")[0];
  const source_file =
    attribute(source, "file") ??
    attribute(source, "dev") ??
    paths.get(target_device) ??
    attribute(source, "name");
  const bus = attribute(disk, "bus", "target");
  const driver = children(disk, "driver")[0];
  const driver_type = attribute(driver, "type");
  const cache = attribute(driver, "cache");
  const discard = attribute(driver, "discard");
  const serial = textOf(disk, "serial");
  const is = { domain, target_device, source_file, serial, driver_type };
  const disk_type = attribute(disk, "type");
  const tuned = children(disk, "iotune")[0];
  return [
    one("libvirt_domain_block_stats_info", {
      ...is,
      disk_type,
      target_bus: bus,
      driver_name: attribute(driver, "name"),
      driver_cache: cache,
      driver_discard: discard,
      source_protocol: attribute(source, "protocol"),
    }),
    one("libvirt_domain_block_meta", { ...is, disk_type, bus, cache, discard }),
    ...LIMITS.flatMap(([element, name]): Sample[] => {
      const limit = textOf(tuned, element);
      const labels = { domain: domain ?? "", target_device };
      return limit === undefined ? [] : [{ name, labels, value: Number(limit) }];
    }),
  ];
}

/** One without a device on the host has no counters either. */
function nicSamples(domain: string | undefined, nic: Element): Sample[] {
  const target_device = attribute(nic, "dev", "target");
  if (target_device === undefined) return [];
  const is = { domain, target_device, source_bridge: attribute(nic, "bridge", "source") };
  return [
    one("libvirt_domain_interface_stats_info", {
      ...is,
      interface_type: attribute(nic, "type"),
      mac_address: attribute(nic, "address", "mac"),
      model_type: attribute(nic, "type", "model"),
      mtu_size: attribute(nic, "size", "mtu"),
    }),
    one("libvirt_domain_interface_meta", {
      ...is,
      virtual_interface: attribute(nic, "interfaceid", "virtualport", "parameters"),
    }),
  ];
}
