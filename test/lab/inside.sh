# Process 1 of the lab, started by lab.mjs in mount, network and process namespaces of its own:
# `sh inside.sh CMD ARGS...`. Descriptor 3 brings the names of signals meant for CMD, and takes word of a lab that is kept.
set -eu

fail() {
  echo "The lab cannot start: $1" >&2
  cat /var/log/libvirt/*.log >&2 2>/dev/null || true
  exit 1
}

# Cover everything of the machine's that libvirt, D-Bus, systemd or their clients would find.
mount -t tmpfs -o mode=755 tmpfs /run
for dir in /etc/libvirt /var/cache/libvirt /var/log/libvirt /var/lib/hypersdk; do
  mkdir -p "$dir"
  mount -t tmpfs -o mode=755 tmpfs "$dir"
done
# Disks live here, in memory: the cap stops a runaway image, not the machine.
mkdir -p /var/lib/libvirt
mount -t tmpfs -o mode=755,size=8g tmpfs /var/lib/libvirt
mkdir -p /run/lock /var/lib/libvirt/images /var/log/libvirt/qemu
# Tests look there for what an upload has left, and would find those of another lab. libguestfs's appliance, which takes
# a while to make, is the machine's.
appliance=/var/tmp/.guestfs-0
mkdir -p -m 700 "$appliance" /run/guestfs
mount --bind "$appliance" /run/guestfs
mount -t tmpfs -o mode=1777,size=8g tmpfs /var/tmp
mkdir -m 700 "$appliance"
mount --move /run/guestfs "$appliance"
# Tests keep images of users' own here, outside the pools.
for dir in /srv /mnt; do mkdir -p "$dir" && mount -t tmpfs -o mode=755,size=8g tmpfs "$dir"; done
# A new /sys shows this network namespace, and has no cgroups for libvirt to change.
umount --lazy --recursive /sys
mount -t sysfs sysfs /sys
ip link set lo up
# On a terminal virsh starts this agent, which complains that there is no polkit to talk to.
if [ -e /usr/bin/pkttyagent ]; then mount --bind /dev/null /usr/bin/pkttyagent; fi

# Signals that come before CMD runs end the lab; process 1 ignores those it has no trap for.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 131' QUIT
trap 'exit 143' TERM
echo 1 >/run/lab.pid
while read -r signal; do kill -s "$signal" "$(cat /run/lab.pid)"; done <&3 >/dev/null 2>&1 &
exec 4>&3 3<&-

cat >/etc/libvirt/libvirtd.conf <<'CONF'
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
CONF

# QEMU stays root with all capabilities, so that it can read a kernel in somebody's home directory.
cat >/etc/libvirt/qemu.conf <<'CONF'
user = "root"
group = "root"
clear_emulator_capabilities = 0
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
CONF

LC_ALL=C virtlogd -d || fail "virtlogd did not start"
LC_ALL=C libvirtd -d || fail "libvirtd did not start"
# About 15 seconds; a healthy libvirtd answers within a tenth of a second.
tries=0
until timeout 5 virsh uri >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 160 ] || fail "libvirtd does not answer"
  sleep 0.05
done

virsh -q pool-define-as default dir --target /var/lib/libvirt/images >/dev/null
virsh -q pool-start default >/dev/null

# From here on signals are CMD's affair (`trap -` would let a terminal's ^C end this shell).
trap : HUP INT QUIT TERM
# In the foreground, for the terminal; its shell tells its process ID and becomes CMD.
status=0
sh -c 'echo $$ >/run/lab.pid; exec "$@"' sh "$@" 4>&- || status=$?
if [ "$status" -ne 0 ] && [ "${HYPERSDK_INSPECT:-}" = 1 ]; then
  # lab.mjs knows this process by the ID it has outside, and prints how to enter.
  trap 'exit "$status"' HUP INT QUIT TERM
  echo 1 >/run/lab.pid
  echo kept >&4
  sleep infinity &
  wait
fi
exit "$status"
