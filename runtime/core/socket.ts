/** A WebSocket, as both of its ends here see it: the guest's console, and the server that has the connection. */

/** The caller's end. */
export interface Viewer {
  /** False when the caller takes no more for now: `drain` tells when it does. */
  send(data: Uint8Array | string): boolean;
  close(code: number, reason: string): void;
}

/** The guest's end. */
export interface SocketEnd {
  /** Called once the caller is connected. */
  open(viewer: Viewer): void;
  /** Bytes for the guest, or a text about the connection itself. */
  message(data: Uint8Array | string): void;
  drain(): void;
  /** Called once, however it ends. */
  close(): void;
}

/** The codes of RFC 6455 with which the server closes a WebSocket. */
export const CLOSED = {
  done: 1000,
  serverEnds: 1001,
  forbidden: 1008,
  failed: 1011,
  tooSlow: 1013,
} as const;
