#!/bin/sh
# Hono's presets do not route alike: with `hono/tiny` (PatternRouter) and `hono/quick` (LinearRouter first) a route
# `/hello` also answers `/hello/`; with `hono` (RegExpRouter or TrieRouter) it does not. `strict` is true, its default.
# Seen with hono 4.13.19 on Node 20.20.2.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . hono@4.13.19 >/dev/null
cat >route.mjs <<'JS'
const found = {};
for (const preset of ["hono", "hono/quick", "hono/tiny"]) {
  const { Hono } = await import(preset);
  const app = new Hono({ strict: true });
  app.all("/hello", (c) => c.text("hello"));
  found[preset] = (await app.fetch(new Request("http://localhost/hello/"))).status;
}
console.log(JSON.stringify(found));
JS
seen=$(node route.mjs)
echo "hono 4.13.19: status of /hello/ where only /hello is a route: $seen"
[ "$seen" = '{"hono":404,"hono/quick":200,"hono/tiny":200}' ]
