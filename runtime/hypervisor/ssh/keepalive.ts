/** Ends an SSH connection that has been silent although it was asked, whatever TCP believes of it. */
import { log } from "../../core/log.ts";
import type { Login } from "./login.ts";
import { roundTrip } from "./open-channel.ts";

/** Looks in one `keepalive`; a connection that is silent at each of them is lost. */
const CHECKS = 4;

/** `keepalive`: seconds of silence. A pause of our own process is no silence, because it skips the checks too. */
export function watchConnection(alias: string, login: Login, keepalive: number) {
  const { socket, end, closed } = login;
  let bytes = socket.bytesRead;
  let silent = 0;
  let asked = false;
  const check = () => {
    if (socket.bytesRead !== bytes) silent = 0;
    bytes = socket.bytesRead;
    if (silent++ >= CHECKS) {
      log.warn({ host: alias }, `SSH connection silent for ${keepalive} s`);
      return end();
    }
    if (asked) return;
    asked = true;
    const answered = () => {
      asked = false;
      silent = 0;
    };
    roundTrip(login).then(answered, () => {});
  };
  const timer = setInterval(check, (keepalive * 1000) / CHECKS);
  timer.unref();
  closed.then(() => clearInterval(timer));
}
