/** The events of Bun's WebSockets, for `http/socket.ts`. */
import type { Socket } from "../http/socket.ts";

type Wire = Bun.ServerWebSocket<unknown>;

const of = (wire: Wire) => wire.data as Socket;

export const sockets: Bun.WebSocketHandler<unknown> = {
  maxPayloadLength: 1024 * 1024,
  idleTimeout: 60, // seconds: a viewer whose network is gone answers no ping
  sendPings: true,
  perMessageDeflate: false,
  open: (wire) => of(wire).open(wire),
  message: (wire, data) => of(wire).message(data),
  drain: (wire) => of(wire).drain(),
  close: (wire, code, reason) => of(wire).closed(code, reason),
};
