#!/bin/busybox sh
# /init of the tiny guest that guest.ts builds: a kernel, busybox and this, all in memory.
# The kernel hands words like `burn=2` on its command line to this script as variables.

/bin/busybox mkdir -p /proc /sys /dev /run /etc/acpi/PWRF
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

# In the order in which they depend on each other.
for module in /modules/*.ko; do insmod "$module"; done
[ "${cdrom:-0}" = 0 ] || for module in /modules/cdrom/*.ko; do insmod "$module"; done

# `virsh shutdown` presses the ACPI power button.
cat >/etc/acpi/PWRF/00000080 <<'ACTION'
#!/bin/sh
echo "POWER BUTTON" >/dev/console
poweroff -f
ACTION

cat >/etc/udhcpc.script <<'ACTION'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
echo "ADDRESS $interface $ip" >/dev/console
ACTION

chmod +x /etc/acpi/PWRF/00000080 /etc/udhcpc.script
acpid -d >/dev/null 2>&1 &

started=0
while [ "$started" -lt "${burn:-0}" ]; do
  while :; do :; done &
  started=$((started + 1))
done

# A drive whose medium is in use has its tray locked.
if [ "${lock:-0}" = 1 ]; then
  # a drive that is not ready yet cannot be opened, which would end this shell
  until [ -b /dev/sr0 ] && (: </dev/sr0); do sleep 1; done 2>/dev/null
  exec 9</dev/sr0
fi

echo READY

# There is no udev: look for new network cards once a second.
while :; do
  for nic in /sys/class/net/*; do
    name=${nic##*/}
    [ "$name" = lo ] && continue
    [ $(($(cat "$nic/flags") & 1)) -eq 1 ] && continue
    ip link set "$name" up
    udhcpc -b -T 1 -t 10 -s /etc/udhcpc.script -i "$name" >/dev/null 2>&1
  done
  sleep 1
done
