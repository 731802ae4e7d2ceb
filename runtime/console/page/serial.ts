/** The page of a serial console: xterm.js, and a WebSocket to `virsh console`. */
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { lineOf } from "./alive.ts";
import { element, FINAL, isView, keepConnected, name, say, socketUrl } from "./connect.ts";

const terminal = new Terminal({
  ...{ scrollback: 10_000, disableStdin: isView, fontSize: 15, convertEol: false },
  theme: { background: "#000000" },
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(element("screen"));
fit.fit();
const encoder = new TextEncoder();
let socket: WebSocket | undefined;
let force = false;

const send = (data: string | Uint8Array<ArrayBuffer>) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(data);
};
const tellSize = () =>
  send(JSON.stringify({ type: "resize", columns: terminal.cols, rows: terminal.rows }));

/** What the guest wrote before is shown: its questions to a terminal were answered then. */
let isReplay = false;
terminal.onData((text) => {
  if (!isReplay) send(encoder.encode(text));
});
terminal.onBinary((text) => send(Uint8Array.from(text, (one) => one.charCodeAt(0))));
terminal.onResize(tellSize);
new ResizeObserver(() => fit.fit()).observe(element("screen"));
element("force").addEventListener("click", () => {
  force = true;
  element("reconnect").click();
});

keepConnected(async (over, use) => {
  const url = await socketUrl("serial", force ? { force: "true" } : {});
  socket?.close();
  const mine = new WebSocket(url, "binary");
  socket = mine;
  mine.binaryType = "arraybuffer";
  use(lineOf(mine, () => send(JSON.stringify({ type: "ping" }))));
  let isKept = false;
  mine.addEventListener("open", () => {
    force = false;
    element("force").hidden = true;
    terminal.reset();
    say(isView ? `Watching ${name}` : `Connected to ${name}; Ctrl+] ends it`);
    tellSize();
    terminal.focus();
  });
  mine.addEventListener("message", ({ data }) => {
    if (typeof data !== "string") {
      if (!isKept) return terminal.write(new Uint8Array(data));
      isKept = false;
      isReplay = true;
      return terminal.write(new Uint8Array(data), () => {
        isReplay = false;
      });
    }
    const { type } = JSON.parse(data);
    if (type === "kept") isKept = true;
    if (isView || !(type === "taken" || type === "free")) return;
    const who = type === "taken" ? "Somebody else types now" : "Nobody types any more";
    say(`${who}; this page watches`, true);
    element("force").hidden = false;
  });
  mine.addEventListener("close", ({ code, reason }) => {
    if (socket !== mine) return;
    const why = reason || (code === 1006 ? "No connection" : "The console has ended");
    element("force").hidden = isView || !/^in_use/.test(reason);
    over(why, !FINAL.test(reason));
  });
});
