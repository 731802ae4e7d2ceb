/** `bun event-listeners.ts URL COUNT WANTED`: so many listeners, which count; prints their counts once all have `WANTED`, or at the end of its input. */
import { connect } from "node:net";

const [url = "", count = "0", wanted = "0"] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const MARK = Buffer.from("\nevent: domain\n");
const counts: number[] = [];
let begun = 0;

for (let n = 0; n < Number(count); n++) {
  const socket = connect(Number(port), hostname);
  let rest = Buffer.alloc(0);
  counts[n] = 0;
  let isBegun = false;
  socket.on("data", (data: Buffer) => {
    const all = Buffer.concat([rest, data]);
    let at = all.indexOf(MARK);
    let end = 0;
    for (; at >= 0; at = all.indexOf(MARK, end)) {
      counts[n] = (counts[n] ?? 0) + 1;
      end = at + MARK.length;
    }
    if (!isBegun && all.includes("event: resync")) {
      isBegun = true;
      if (++begun === Number(count)) console.log("begun");
    }
    rest = all.subarray(Math.max(end, all.length - MARK.length + 1));
    if (counts.every((one) => one >= Number(wanted))) finish();
  });
  socket.write(`GET /events?kind=domain HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`);
}

let isOver = false;
function finish() {
  if (isOver || Number(wanted) === 0) return;
  isOver = true;
  console.log(JSON.stringify(counts));
}
process.stdin.on("end", () => {
  console.log(JSON.stringify(counts));
  process.exit();
});
process.stdin.resume();
