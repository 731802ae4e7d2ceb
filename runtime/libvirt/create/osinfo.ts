/** The guest's system by libosinfo's names, which virt-manager and Cockpit read in a domain's metadata. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";

export interface GuestSystem {
  /** Such as http://debian.org/debian/12. */
  id: string;
  /** It brings no driver for virtio, and reads the clock as local time. */
  isWindows: boolean;
}

const systemOf = (id: string): GuestSystem => ({
  id,
  isWindows: id.startsWith("http://microsoft.com/win/"),
});

/** Prints the ID of the system with this short name, if libosinfo's database is there; 3 where it is not. */
const LOOK_UP = `there=
for folder in /usr/share/osinfo/os /usr/local/share/osinfo/os /etc/osinfo/os; do
  [ -d "$folder" ] || continue
  there=1
  file=$(grep -rlsF "<short-id>$1</short-id>" "$folder" | head -n 1)
  if [ -n "$file" ]; then sed -n 's/.*<os id="\\([^"]*\\)".*/\\1/p' "$file" | head -n 1; exit; fi
done
[ -n "$there" ] || exit 3`;

/** Throws `invalid_input` for a name that the hypervisor's database does not have. */
export async function findSystem(
  ctx: Context,
  osinfo: string | undefined,
): Promise<GuestSystem | undefined> {
  if (osinfo === undefined) return undefined;
  if (osinfo.startsWith("http://")) return systemOf(osinfo);
  const found = await ctx.exec(["sh", "-c", LOOK_UP, "sh", osinfo]);
  if (found.exitCode === 3) {
    const text = `osinfo: hypervisor ${ctx.host} has no database in which ${osinfo} could be looked up (package osinfo-db); give its ID, such as http://debian.org/debian/12`;
    throw new HyperError("unsupported", text);
  }
  if (found.exitCode !== 0) throw programError("looking for osinfo", found);
  const id = found.stdout.trim();
  if (id) return systemOf(id);
  const text = `osinfo: ${JSON.stringify(osinfo)} is no system in the hypervisor's libosinfo database; names are such as debian12 and win11, IDs such as http://debian.org/debian/12`;
  throw new HyperError("invalid_input", text);
}
