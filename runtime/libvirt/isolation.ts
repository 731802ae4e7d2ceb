/**
 * A program that opens disk images runs where it can open these and nothing else of the hypervisor. An image's header
 * can name other files and servers in more ways than a check of headers knows; in here there are none.
 */
import { HyperError } from "../core/errors.ts";
import type { ExecResult } from "../hypervisor/transport.ts";

/** What an isolated program can open, each under its own path. A file to write to is made if it is not there. */
export interface Files {
  reads?: string[];
  writes?: string[];
}

/** The exit code of an isolation that cannot be made; standard error says why. */
const IMPOSSIBLE = 98;

/**
 * Enters namespaces of mounts and of the network, whose only device is a loopback that is down. A login user who is
 * not root, whom process 1 does not belong to, needs a user namespace for that.
 */
const ENTER = `PATH=$PATH:/usr/sbin:/sbin
for tool in unshare mount chroot; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit ${IMPOSSIBLE}; }
done
inside=$1; shift
if [ -O /proc/1 ]; then exec unshare -m -n sh -c "$inside" sh bind,ro "$@"; fi
exec unshare -r -m -n sh -c "$inside" sh rbind "$@"`;

/**
 * Makes a root with the libraries of the distribution, the program and the files, and runs the program there. The
 * root lies on /sys, where no images are. Debian has its libraries in folders named after the processor, RHEL in
 * /usr/lib64, Alpine in /usr/lib; /lib, /lib64 and /usr/lib64 can be links. BusyBox's mount ignores "ro" where it
 * binds, and is asked again; nor does it resolve a descriptor's path, whose file is of the outer namespace.
 */
const INSIDE = `fail() { echo "$1" >&2; exit ${IMPOSSIBLE}; }
how=$1; shift
protect() { [ "$how" != bind,ro ] || ! [ -w ".$1" ] || mount -o remount,bind,ro "/sys$1" || fail "$1 stays writable"; }
mount -t tmpfs -o mode=755,size=1m tmpfs /sys && cd /sys || fail "no root can be mounted"
place() {
  [ -d ".\${1%/*}" ] || mkdir -p ".\${1%/*}"
  case $1 in /proc/*) from=$(readlink -f "$1");; *) from=$1;; esac
  { [ -e ".$1" ] || true >".$1"; } && mount -o "$2" "$from" "/sys$1" && [ "$1" -ef ".$1" ] || fail "$1 cannot be mounted"
}
links= folders=
for folder in /lib /lib64; do
  if [ -L $folder ]; then links="$links $folder"; elif [ -d $folder ]; then folders="$folders $folder"; fi
done
named=
for folder in /usr/lib/*-linux-gnu*; do if [ -d "$folder" ]; then named="$named $folder"; fi; done
if [ -d /usr/lib64 ] && ! [ -L /usr/lib64 ]; then folders="$folders /usr/lib64"; else named=\${named:-/usr/lib}; fi
folders="$folders $named"
inner=
for folder in $folders; do inner="$inner .$folder"; done
mkdir -p ./dev ./usr $inner && { [ -z "$links" ] || cp -P $links .; } || fail "no root can be made"
[ ! -L /usr/lib64 ] || cp -P /usr/lib64 ./usr || fail "no root can be made"
true >./dev/null && for path in $folders /dev/null; do echo "$path /sys$path none $how 0 0"; done >table
mount -a -T table && true >table || fail "libraries cannot be mounted"
for path in $folders; do protect "$path"; done
while [ "$1" != -- ]; do if [ -f "$1" ] || [ -b "$1" ]; then place "$1" "$how"; protect "$1"; fi; shift; done
shift
while [ "$1" != -- ]; do
  [ -e "$1" ] || true >"$1" || exit 1
  place "$1" bind
  shift
done
program=$(command -v "$2") || fail "$2 is not installed"
place "$program" "$how"; protect "$program"
shift 2
exec chroot /sys "$program" "$@"`;

/** The argv of a program that opens these files. Its output, exit code and end are as without the isolation. */
export function isolate(argv: string[], { reads = [], writes = [] }: Files): string[] {
  for (const path of [...reads, ...writes]) {
    if (staysInside(path)) continue;
    const text = `an image is opened by its absolute path, which ${JSON.stringify(path)} is not`;
    throw new HyperError("invalid_input", text);
  }
  return ["sh", "-c", ENTER, "sh", INSIDE, ...reads, "--", ...writes, "--", ...argv];
}

/** Whether a path leads to no place above its root. */
function staysInside(path: string): boolean {
  let depth = 0;
  for (const part of path.split("/")) {
    if (part === "..") depth--;
    else if (part !== "" && part !== ".") depth++;
    if (depth < 0) return false;
  }
  return path.startsWith("/") && depth > 0;
}

/** Throws `unsupported` if the program could not be isolated, and was not run. */
export function assertIsolated(program: string, { exitCode, stderr }: ExecResult) {
  const isRefused = exitCode === 1 && /^unshare: /.test(stderr);
  const isNotRun = exitCode >= 125 && /^chroot: /.test(stderr);
  if (exitCode !== IMPOSSIBLE && !isRefused && !isNotRun) return;
  const needs =
    "the login user must be root with CAP_SYS_ADMIN, or user namespaces must be allowed";
  const text = `${program} opens images only in namespaces of its own: ${stderr.trim()}`;
  throw new HyperError("unsupported", isRefused ? `${text}; ${needs}` : text);
}
