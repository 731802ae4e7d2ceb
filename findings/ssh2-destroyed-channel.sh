#!/bin/sh
# A client's channel of ssh2 that is destroyed before its output was read emits no 'close', though both sides have sent
# CHANNEL_CLOSE: the event waits for 'end', which comes only when somebody reads. Node's own streams close when they are
# destroyed. channel.resume() after destroy() brings it. Seen with ssh2 1.17.0 on Node 20.20.2.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . ssh2@1.17.0 >/dev/null
cat >destroy.mjs <<'JS'
import { setTimeout as sleep } from "node:timers/promises";
import ssh2 from "ssh2";
const { private: hostKey } = ssh2.utils.generateKeyPairSync("ed25519");
const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
  client.on("error", () => {});
  client.on("authentication", (auth) => auth.accept());
  client.on("session", (accept) =>
    accept().on("exec", (acceptExec) => {
      const stream = acceptExec();
      stream.write("output");
    }),
  );
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const client = new ssh2.Client();
await new Promise((resolve, reject) => {
  client.once("ready", resolve).once("error", reject);
  client.connect({ host: "127.0.0.1", port: server.address().port, username: "u", password: "p" });
});
const channel = await new Promise((resolve, reject) =>
  client.exec("x", (error, one) => (error ? reject(error) : resolve(one))),
);
let closed = false;
channel.once("close", () => {
  closed = true;
});
await sleep(300);
channel.destroy();
await sleep(1000);
const destroyed = closed;
channel.resume();
await sleep(1000);
console.log(JSON.stringify({ closed_after_destroy: destroyed, closed_after_resume: closed }));
client.end();
server.close();
process.exit(0);
JS
seen=$(node destroy.mjs)
echo "$seen"
[ "$seen" = '{"closed_after_destroy":false,"closed_after_resume":true}' ]
