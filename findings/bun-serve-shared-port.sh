#!/bin/sh
# With `development: false`, `Bun.serve` lets a second process listen at the same address and port: it starts without an error,
# and the kernel splits the connections between the two. Without it, or with `reusePort: false`, which the types say is the
# default, the second one is refused. The option is documented as one about error pages alone.
# Seen with Bun 1.4.5 on Linux.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . bun@1.4.5 bun-types@1.4.5 >/dev/null
[ -x node_modules/bun/bin/bun.exe ] && node_modules/bun/bin/bun.exe --version >/dev/null 2>&1 || node node_modules/bun/install.js
cat >serve.js <<'JS'
const [, , port, options] = process.argv;
const fetch = () => new Response("");
try {
  const server = Bun.serve({ port: Number(port), hostname: "127.0.0.1", fetch, ...JSON.parse(options) });
  console.log(server.port);
} catch ({ code }) {
  console.log(code);
}
setTimeout(() => process.exit(), 5000);
JS
# what the second process says that serves at the port of the first one
second() {
  node_modules/bun/bin/bun.exe serve.js 0 "$1" >first &
  until [ -s first ]; do sleep 0.1; done
  node_modules/bun/bin/bun.exe serve.js "$(cat first)" "$1" | sed "s/^$(cat first)$/starts, too/"
  wait
  rm first
}
default=$(second '{}')
production=$(second '{"development":false}')
alone=$(second '{"development":false,"reusePort":false}')
echo "the second server at a port, Bun $(node_modules/bun/bin/bun.exe --version): no options: $default;" \
  "development false: $production; and reusePort false: $alone"
grep -B2 'reusePort?: boolean' node_modules/bun-types/serve.d.ts
[ "$default; $production; $alone" = 'EADDRINUSE; starts, too; EADDRINUSE' ]
