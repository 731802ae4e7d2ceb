#!/bin/sh
# Bun tests the primes of the well-known Diffie-Hellman groups anew whenever an object for one is created, which takes
# seconds of CPU in the thread that asks; Node knows these groups and takes less than a millisecond. Generating keys and
# computing the secret are quick in both. An SSH client that offers such a group stands still meanwhile.
# Seen with Bun 1.4.5 (modp14: 0.4 s, modp16: 3.3 s); Node 20.20.2 for comparison.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . bun@1.4.5 >/dev/null
[ -x node_modules/bun/bin/bun.exe ] && node_modules/bun/bin/bun.exe --version >/dev/null 2>&1 || node node_modules/bun/install.js
cat >group.mjs <<'JS'
import { createDiffieHellmanGroup } from "node:crypto";
const cpu = () => process.cpuUsage().user / 1000;
const began = cpu();
const group = createDiffieHellmanGroup("modp16");
const created = cpu();
group.generateKeys();
console.log(JSON.stringify({ create: Math.round(created - began), keys: Math.round(cpu() - created) }));
JS
bun=$(node_modules/bun/bin/bun.exe group.mjs)
node=$(node group.mjs)
echo "milliseconds of CPU for modp16: Bun $(node_modules/bun/bin/bun.exe --version) $bun, Node $(node --version) $node"
node -e 'const [bun, node] = process.argv.slice(1).map(JSON.parse); process.exit(bun.create > 500 && node.create < 100 ? 0 : 1)' "$bun" "$node"
