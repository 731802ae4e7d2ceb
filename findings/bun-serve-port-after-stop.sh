#!/bin/sh
# Bun.serve's server.stop() lets requests under way end, and their handlers still run with the server as an argument;
# but server.port is 0 from then on. A handler that needs the port of its own connection (for the kernel's socket table,
# or for an absolute URL) has to have kept it. server.requestIP still tells the other end.
# Seen with Bun 1.4.5.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . bun@1.4.5 >/dev/null
[ -x node_modules/bun/bin/bun.exe ] && node_modules/bun/bin/bun.exe --version >/dev/null 2>&1 || node node_modules/bun/install.js
cat >stop.mjs <<'JS'
const arrived = Promise.withResolvers();
const stopped = Promise.withResolvers();
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request, own) {
    arrived.resolve();
    await stopped.promise;
    return Response.json({ port: own.port, peer: own.requestIP(request) !== null });
  },
});
const before = server.port > 0;
const answer = fetch(server.url).then((response) => response.json());
await arrived.promise;
server.stop();
stopped.resolve();
console.log(JSON.stringify({ before, ...(await answer) }));
JS
seen=$(node_modules/bun/bin/bun.exe stop.mjs)
echo "$seen"
[ "$seen" = '{"before":true,"port":0,"peer":true}' ]
