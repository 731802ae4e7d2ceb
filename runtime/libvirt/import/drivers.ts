/**
 * Drivers for virtio in guests that have none: virt-v2v puts them in, where it is installed. It opens the disks in a
 * virtual machine of libguestfs, after they have become volumes.
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { runInGuestfs } from "../clone/guestfs.ts";
import type { Journal } from "../journal.ts";
import { loginOf } from "../login.ts";
import { needsRoot } from "../storage/image-access.ts";
import type { Volume } from "../storage/volume.ts";
import { lines } from "../virsh-output.ts";
import { xml } from "../xml.ts";
import { type Appliance, isWindows } from "./appliance.ts";
import type { ImportWish } from "./wish.ts";

const PROGRAM = "virt-v2v-in-place";

/** Prints what virt-v2v can do, and whether it works in place; then whether there are drivers for Windows. */
const ASK = `command -v ${PROGRAM} >/dev/null || exit 3
virt-v2v --machine-readable </dev/null || exit
for file in "$VIRTIO_WIN" /usr/share/virtio-win /usr/share/virtio-win/*.iso; do
  if [ -n "$file" ] && [ -e "$file" ]; then echo hypersdk:virtio-win; exit; fi
done`;

export interface Converter {
  installed: boolean;
  linux: boolean;
  windows: boolean;
}

/** What virt-v2v can do on the hypervisor. */
export async function readConverter({ exec }: Pick<Context, "exec">): Promise<Converter> {
  const { stdout, exitCode } = await exec(["sh", "-c", ASK]);
  const can = new Set(lines(stdout));
  const installed = exitCode === 0 && can.has("virt-v2v");
  return {
    installed,
    linux: installed && can.has("convert:linux"),
    windows: installed && can.has("convert:windows") && can.has("hypersdk:virtio-win"),
  };
}

/** Whether virt-v2v is to put drivers in. Throws `unsupported` where it was asked for and cannot. */
export async function wantsDrivers(
  ctx: Context,
  { guest }: Pick<Appliance, "guest">,
  { drivers, osinfo, bus }: Pick<ImportWish, "drivers" | "osinfo" | "bus">,
): Promise<boolean> {
  const windows = isWindows(guest) || /^(win|http:\/\/microsoft)/.test(osinfo ?? "");
  if (drivers === "none" || (drivers === "auto" && (!windows || bus !== undefined))) return false;
  const can = await readConverter(ctx);
  const isAble = windows ? can.windows : can.linux;
  if (isAble && (await loginOf(ctx)).reads_images) return true;
  if (drivers === "auto") return false;
  if (isAble) throw needsRoot(ctx, "drivers: virt-v2v writes to the new disks");
  const lack = can.installed
    ? "its virt-v2v has no drivers for Windows (package virtio-win, or VIRTIO_WIN)"
    : `it has no ${PROGRAM} (package virt-v2v)`;
  throw new HyperError("unsupported", `drivers: hypervisor ${ctx.host} cannot put any in: ${lack}`);
}

/** virt-v2v takes a file, and nothing else of the domain. */
const RUN = `cat >"$LIBGUESTFS_TMPDIR/guest.xml" && exec ${PROGRAM} -i libvirtxml "$LIBGUESTFS_TMPDIR/guest.xml"`;

export async function putDriversIn(ctx: Context, journal: Journal, volumes: Volume[]) {
  const disks = volumes.map(
    ({ path, format }, i) =>
      xml`<disk type="file" device="disk"><driver name="qemu" type="${format ?? "raw"}"/><source file="${path}"/><target dev="sd${"abcdefghijklmnopqrstuvwxyz"[i]}" bus="sata"/></disk>`,
  );
  const domain = xml`<domain type="kvm"><name>guest</name><memory unit="MiB">2048</memory><vcpu>1</vcpu><os><type>hvm</type></os><features><acpi/></features><devices>${disks}</devices></domain>`;
  const command = { program: PROGRAM, argv: ["sh", "-c", RUN] };
  await runInGuestfs(ctx, journal, command, volumes, `${domain}`);
}
