# `sh release-enter.sh ROOT PROJECT CACHE WORK CMD ARGS...`, in mount and process namespaces of its own: runs CMD in
# the root file system ROOT. What is written there, in PROJECT or in CACHE goes to memory, and ends with the namespace.
set -eu
root=$1 project=$2 cache=$3 work=$4
shift 4

memory=$work/memory
new=$memory/root
mkdir "$memory" "$work/tmp"
chmod 1777 "$work/tmp"
mount -t tmpfs -o mode=755,size=8g tmpfs "$memory"

# `overlay NAME LOWER TARGET`: LOWER at TARGET, to be written to without a change.
overlay() {
  mkdir -p "$memory/$1.upper" "$memory/$1.work" "$3"
  mount -t overlay -o "lowerdir=$2,upperdir=$memory/$1.upper,workdir=$memory/$1.work" "$1" "$3"
}
overlay root "$root" "$new"
# On the disk, since images of some gigabytes are made there; before PROJECT, which may lie in /tmp itself.
mount --bind "$work/tmp" "$new/tmp"
overlay project "$project" "$new$project"
overlay cache "$cache" "$new$cache"
mount --rbind /dev "$new/dev"
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"

# A chroot would not do: no user namespace can be made in one.
cd "$new"
pivot_root . .
umount --lazy .
cd "$project"
exec "$@"
