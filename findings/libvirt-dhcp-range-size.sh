#!/bin/sh
# libvirt's limit on a DHCP range is not its number of addresses: two ends that differ in their second-last byte's
# neighbour (the upper 16 bits) are refused as "too large (> 65535)" even where the range holds 261 addresses, and a
# range of 65,534 addresses within one upper half is accepted.
# Seen with libvirt 9.0.0 (Debian 12), on its built-in test hypervisor.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
# the client and what it needs, unpacked here; what is installed on this machine plays no part
for package in $(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
  --no-enhances libvirt-clients=9.0.0-4+deb12u2 | grep '^[a-z]' | sort -u); do
  apt-get download "$package" >/dev/null 2>&1 || true
done
for file in *.deb; do dpkg -x "$file" root; done
define() {
  printf '<network><name>n</name><ip address="10.0.0.1" prefix="8"><dhcp><range start="%s" end="%s"/></dhcp></ip></network>' \
    "$1" "$2" >n.xml
  LC_ALL=C LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu:root/lib/x86_64-linux-gnu \
    root/usr/bin/virsh -q -c test:///default net-define n.xml 2>&1 | grep -o 'too large (> 65535)' || echo accepted
}
small=$(define 10.0.255.1 10.1.0.5)
large=$(define 10.0.0.2 10.0.255.255)
LC_ALL=C LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu:root/lib/x86_64-linux-gnu root/usr/bin/virsh --version
echo "10.0.255.1 to 10.1.0.5 (261 addresses): $small; 10.0.0.2 to 10.0.255.255 (65,534 addresses): $large"
[ "$small" = 'too large (> 65535)' ] && [ "$large" = accepted ]
