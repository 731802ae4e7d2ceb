#!/bin/sh
# A QEMU that waits for a guest (`-incoming tcp:…`, which is how libvirt prepares the target of a live migration) takes the
# first connection for the guest's memory: anybody who connects and closes, such as a check whether the port is reached, ends
# it, and with it a migration whose disks may have been copied for hours. libvirt gives out the ports from 49152 up.
# Seen with QEMU 7.2.22.
set -eu
port=49333
qemu-system-x86_64 -M pc -m 16 -nodefaults -display none -accel tcg -incoming "tcp:127.0.0.1:$port" 2>/dev/null &
qemu=$!
trap 'kill $qemu 2>/dev/null || true' EXIT
connects() { node -e 'const s = require("net").connect(+process.argv[1], "127.0.0.1"); s.on("connect", () => { s.destroy(); process.exit(0); }); s.on("error", () => process.exit(1))' $port; }
n=0
until connects; do
  n=$((n + 1))
  [ $n -lt 50 ] || { echo "QEMU never listened"; exit 1; }
  sleep 0.1
done
n=0
while kill -0 $qemu 2>/dev/null && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done
if kill -0 $qemu 2>/dev/null; then echo "QEMU waits on"; exit 1; fi
wait $qemu && status=0 || status=$?
echo "$(qemu-system-x86_64 --version | head -1): ended with status $status by a connection that said nothing"
