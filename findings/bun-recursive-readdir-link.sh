#!/bin/sh
# Bun's recursive `readdirSync` follows symbolic links, so a link that points to itself anywhere below the folder
# makes it throw ELOOP; Node lists the link by its name and goes on.
# Seen with Bun 1.4.5; Node 20.20.2 for comparison.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . bun@1.4.5 >/dev/null
[ -x node_modules/bun/bin/bun.exe ] && node_modules/bun/bin/bun.exe --version >/dev/null 2>&1 || node node_modules/bun/install.js
bun=node_modules/bun/bin/bun.exe
mkdir -p folder/below
ln -s self folder/below/self
cat >list.mjs <<'JS'
import { readdirSync } from "node:fs";
try {
  console.log(readdirSync("folder", { recursive: true }).sort().join(" "));
} catch (error) {
  console.log(error.code);
}
JS
with_bun=$($bun list.mjs)
with_node=$(node list.mjs)
echo "Bun $($bun --version): $with_bun; Node $(node --version): $with_node"
[ "$with_bun" = ELOOP ] && [ "$with_node" = "below below/self" ]
