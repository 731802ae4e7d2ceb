#!/bin/sh
# The command `hypersdk`: finds the Bun that npm has installed beside this package, or one on the PATH.
here=$(dirname -- "$(readlink -f -- "$0")")
up=$here
while [ "$up" != / ]; do
  # npm may leave a placeholder in bun/, and more than one platform's Bun in @oven/
  for bun in "$up"/node_modules/bun/bin/bun.exe "$up"/node_modules/@oven/bun-*/bin/bun; do
    if "$bun" --revision >/dev/null 2>&1; then exec "$bun" "$here/main.ts" "$@"; fi
  done
  up=$(dirname -- "$up")
done
if command -v bun >/dev/null; then exec bun "$here/main.ts" "$@"; fi
echo "hypersdk: Bun is missing; npm install bun" >&2
exit 1
