#!/bin/sh
# `ssh -G` does not print paths in one way: UserKnownHostsFile comes with `~` expanded and without the quotes that
# hold a path with a space together, so that two paths cannot be told from one; IdentityFile comes as it is written.
# Seen with OpenSSH 9.2p1 (Debian 12, openssh-client 1:9.2p1-2+deb12u10).
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
apt-get download openssh-client=1:9.2p1-2+deb12u10 >/dev/null 2>&1 || apt-get download openssh-client >/dev/null
dpkg -x openssh-client_*.deb root
cat >config <<'CONFIG'
Host kvm1
  IdentityFile "~/a key"
  UserKnownHostsFile "~/known hosts" ~/others
CONFIG
seen=$(root/usr/bin/ssh -F "$PWD/config" -G kvm1 | grep -E '^(identityfile|userknownhostsfile) ')
home=$(getent passwd "$(id -u)" | cut -d: -f6)
root/usr/bin/ssh -V
echo "$seen"
expected="identityfile ~/a key
userknownhostsfile $home/known hosts $home/others"
[ "$(echo "$seen" | sort)" = "$(echo "$expected" | sort)" ]
