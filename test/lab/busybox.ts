// A folder with BusyBox's tools in the place of GNU's, as on Alpine: for a PATH. The program is the tiny guest's.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { tinyGuest } from "./guest.ts";

/** Makes the folder; `others` are programs of this machine that stay what they are. */
export async function busyboxTools(folder: string, others: string[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const busybox = join(folder, "busybox");
  writeFileSync(
    busybox,
    fileOf(gunzipSync(readFileSync((await tinyGuest()).initrd)), "bin/busybox"),
    {
      mode: 0o755,
    },
  );
  const applets = execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n");
  for (const applet of applets) {
    if (applet !== "busybox" && !others.includes(applet))
      symlinkSync(busybox, join(folder, applet));
  }
  for (const program of others) symlinkSync(join("/usr/bin", program), join(folder, program));
}

/** A file of a cpio archive of the kind newc: headers of 110 hexadecimal digits, everything padded to 4 bytes. */
function fileOf(archive: Buffer, wanted: string): Buffer {
  const padded = (at: number) => Math.ceil(at / 4) * 4;
  for (let at = 0; at + 110 < archive.length; ) {
    const field = (i: number) =>
      Number.parseInt(archive.toString("latin1", at + i, at + i + 8), 16);
    const [size, nameSize] = [field(54), field(94)];
    const name = archive.toString("latin1", at + 110, at + 109 + nameSize);
    const begin = padded(at + 110 + nameSize);
    if (name === wanted) return archive.subarray(begin, begin + size);
    at = padded(begin + size);
  }
  throw new Error(`the guest has no ${wanted}`);
}
