/** The parser of a domain's `<disk>`: the device that the guest sees, and its images on the hypervisor. */
import { attribute, children, type Element, textOf } from "./xml.ts";

/** One image of a disk: the image that the guest writes to, or one below it. */
export interface DiskLayer {
  /** file, block, volume, network, dir, nvme, vhostuser or vhostvdpa. */
  kind: string;
  /** The image file, or the block device. */
  path?: string;
  /** Of a volume. libvirt resolves it to a path only when the domain starts. */
  pool?: string;
  volume?: string;
  /** Of a network disk, such as rbd and `pool/image`. */
  protocol?: string;
  name?: string;
  /** The folder that the guest sees as a FAT disk. */
  directory?: string;
  /** Of a vhost-user server. */
  socket?: string;
  /** As the definition has it. Undefined is raw for QEMU, and unknown in the definition of a domain that is off. */
  format?: string;
  encrypted: boolean;
}

export interface Disk extends DiskLayer {
  /** The name that libvirt and the guest's bus have for it, such as `vda`. */
  target: string;
  bus?: string;
  /** disk, cdrom, floppy or lun. */
  device: string;
  readonly: boolean;
  /** Several domains may write to it at once. */
  shareable: boolean;
  /** The guest's writes are discarded when it stops. */
  transient: boolean;
  /** Transient, so that several domains may start from the same image. */
  sharesBacking: boolean;
  serial?: string;
  /** The images below, from the top down: all of them while the domain runs, mostly none while it is off. */
  backingChain: DiskLayer[];
}

/** All disks of a domain's definition, in its order. */
export function readDisks(domain: Element): Disk[] {
  return children(domain, "devices", "disk").map(readDisk);
}

/** One `<disk>`. For a span of an XmlDocument, parse its text: `parseXml(text.slice(start, end), "disk")`. */
export function readDisk(disk: Element): Disk {
  const [transient] = children(disk, "transient");
  return {
    ...readLayer(disk, "driver"),
    target: attribute(disk, "dev", "target") ?? "",
    ...optional({ bus: attribute(disk, "bus", "target"), serial: textOf(disk, "serial") }),
    device: attribute(disk, "device") ?? "disk",
    readonly: disk.readonly !== undefined,
    shareable: disk.shareable !== undefined,
    transient: transient !== undefined,
    sharesBacking: transient?.["@shareBacking"] === "yes",
    backingChain: readBackingChain(disk),
  };
}

/** The format stands in `<driver>` of the disk itself, and in `<format>` of an image below. */
function readLayer(element: Element, format: "driver" | "format"): DiskLayer {
  const source = children(element, "source")[0];
  const kind = attribute(element, "type") ?? "file";
  return {
    kind,
    ...optional({
      path: attribute(source, "file") ?? attribute(source, "dev"),
      pool: attribute(source, "pool"),
      volume: attribute(source, "volume"),
      protocol: attribute(source, "protocol"),
      name: attribute(source, "name"),
      directory: attribute(source, "dir"),
      socket: kind === "vhostuser" ? attribute(source, "path") : undefined,
      format: attribute(element, "type", format),
    }),
    // older definitions have it beside the source
    encrypted: children(element, "encryption").length + children(source, "encryption").length > 0,
  };
}

/** An empty `<backingStore/>` ends the chain. */
function readBackingChain(element: Element): DiskLayer[] {
  return children(element, "backingStore").flatMap((store) =>
    children(store, "source").length === 0
      ? readBackingChain(store)
      : [readLayer(store, "format"), ...readBackingChain(store)],
  );
}

/** Without the keys that have no value. */
function optional<T extends Record<string, string | undefined>>(values: T) {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: string };
}
