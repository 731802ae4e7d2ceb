/** The page of a screen: noVNC, and a WebSocket to the guest's VNC display. */
import RFB from "@novnc/novnc";
import { lineOf } from "./alive.ts";
import { ask, element, FINAL, isView, keepConnected, name, say, socketUrl } from "./connect.ts";

/** Asks for one pixel, which is answered at once (RFC 6143, 7.5.3). */
const PIXEL = Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 1, 0, 1);

let rfb: RFB | undefined;
let password: string | undefined;

element("keys").addEventListener("click", () => {
  rfb?.sendCtrlAltDel();
  rfb?.focus();
});
element("scale").addEventListener("click", () => {
  if (rfb) rfb.scaleViewport = !rfb.scaleViewport;
});
element("paste").addEventListener("click", () => {
  rfb?.clipboardPasteFrom(element<HTMLTextAreaElement>("clipboard").value);
  element("clip").hidden = true;
  rfb?.focus();
});
element("clips").addEventListener("click", () => {
  element("clip").hidden = !element("clip").hidden;
});
for (const id of ["keys", "clips"]) element(id).hidden = isView;

keepConnected(async (over, use) => {
  const url = await socketUrl("vnc");
  rfb?.disconnect();
  const socket = new WebSocket(url, "binary");
  let failure = "";
  let isConnected = false;
  use(lineOf(socket, () => isConnected && socket.send(PIXEL)));
  // before noVNC's own, which ends with what is known by then
  socket.addEventListener("close", ({ reason }) => {
    failure ||= reason;
  });
  const credentials = { ...(password !== undefined && { password }) };
  const mine = new RFB(element("screen"), socket, { credentials });
  rfb = mine;
  mine.viewOnly = isView;
  mine.scaleViewport = true;
  mine.background = "#000";
  mine.addEventListener("connect", () => {
    isConnected = true;
    say(isView ? `Watching ${name}` : `Connected to ${name}`);
    mine.focus();
  });
  mine.addEventListener("clipboard", (event) => {
    element<HTMLTextAreaElement>("clipboard").value = (event as CustomEvent).detail.text;
  });
  mine.addEventListener("credentialsrequired", async () => {
    password = await ask("The VNC password of this domain:");
    if (password !== undefined) return mine.sendCredentials({ password });
    failure = "refused: no password was given";
    mine.disconnect();
  });
  mine.addEventListener("securityfailure", (event) => {
    password = undefined;
    failure = `refused: ${(event as CustomEvent).detail.reason || "the display wants another password"}`;
  });
  mine.addEventListener("disconnect", () => {
    if (rfb === mine) over(failure || "The screen has gone", !FINAL.test(failure));
  });
});
