/** A domain in the inventory of the fleet: what queries ask about. A field of null is not known. */
export interface Vm {
  host: string;
  name: string;
  uuid: string;
  /** As `virsh domstate` has it: running, shut off … */
  state: string | null;
  /** What it may use now, in bytes. */
  memory: number | null;
  vcpus: number | null;
  tags: string[] | null;
  /** Of libosinfo, such as `debian12`; an empty text where the definition names none. */
  os: string | null;
  /** The networks of its interfaces, and the bridges. */
  networks: string[] | null;
  bridges: string[] | null;
  /** MAC addresses of its interfaces, in lower case. */
  macs: string[] | null;
  /** What the leases of libvirt's networks tell. */
  addresses: string[] | null;
  /** Why fields are not known. */
  reason?: string;
}
