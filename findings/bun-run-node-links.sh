#!/bin/sh
# `bun --bun run SCRIPT` puts a folder first on the script's PATH whose links `bun` and `node` name the Bun that runs it.
# The folder's name depends on the user and the version, not on where that Bun is, nor on TMPDIR: a second checkout with
# its own Bun of the same version turns the links to its own one, also for a script of the first that is under way.
# From then on what that script starts by the name `bun` or `node` is the other checkout's, and ends with it.
# Seen with Bun 1.4.5 on Linux.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . bun@1.4.5 >/dev/null
bun=node_modules/bun/bin/bun.exe
[ -x "$bun" ] && "$bun" --version >/dev/null 2>&1 || node node_modules/bun/install.js
for folder in first second; do
  mkdir -p "$folder/tmp"
  cp "$bun" "$folder/bun"
  cat >"$folder/script.sh" <<'SH'
tell() { basename "$(dirname "$(readlink -f "$(command -v bun)")")"; }
tell >before
touch begun
[ "$1" = now ] || while [ ! -e ../go-on ]; do sleep 0.1; done
tell >after
SH
  echo '{"scripts":{"now":"sh script.sh now","wait":"sh script.sh wait"}}' >"$folder/package.json"
done
run() { (cd "$1" && TMPDIR="$PWD/tmp" timeout 60 ./bun --bun run "$2" >/dev/null 2>&1); }
run first wait &
while [ ! -e first/begun ]; do sleep 0.1; done
run second now
touch go-on
wait
seen="first: $(cat first/before), after a run of the second: $(cat first/after)"
echo "$seen"
[ "$seen" = "first: first, after a run of the second: second" ]
