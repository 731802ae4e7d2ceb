/** Windows by the words of VMware and VirtualBox, as libosinfo names it. */
import { isWindows } from "./appliance.ts";

/**
 * VMware's IDs and names, VirtualBox's, and libosinfo's; the first that matches. Servers come first, since VMware's IDs of
 * them begin as those of the clients do; `srvnext` is the one after.
 */
const RELEASES: [words: RegExp, id: string][] = [
  [/windows2019srvnext|windows2022srv|server 2022|windows2022/i, "2k22"],
  [/windows2019srv|server 2019|windows2019/i, "2k19"],
  [/windows9srv|windows9server|server 2016|windows2016/i, "2k16"],
  [/windows8srv|windows8server|server 2012|windows2012/i, "2k12r2"],
  [/windows7srv|windows7server|server 2008 r2/i, "2k8r2"],
  [/windows11|windows 11/i, "11"],
  [/windows8|windows 8/i, "8.1"],
  [/windows7|windows 7/i, "7"],
  [/winxp|windows xp/i, "xp"],
];

/** Undefined for any other system. Unknown Windows is treated as Windows 10. */
export function windowsId(words: string | undefined): string | undefined {
  if (!isWindows(words)) return undefined;
  const [, id = "10"] = RELEASES.find(([pattern]) => pattern.test(words ?? "")) ?? [];
  return `http://microsoft.com/win/${id}`;
}
