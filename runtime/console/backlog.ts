/** One viewer of a serial console: what it has not taken yet is kept for it, within a bound. */
import { CLOSED, type Viewer } from "../core/socket.ts";

/** A viewer who takes nothing for so long is cut off: meanwhile who types holds up the guest. */
export const STALL_MS = 10_000;
/** What is on its way when the guest's output is stopped has some 100 KB. */
const MAX_BYTES = 2 ** 20;

export class Backlog {
  readonly viewer: Viewer;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #stalled: NodeJS.Timeout | undefined;

  constructor(viewer: Viewer) {
    this.viewer = viewer;
  }

  /** Whether it takes no more for now. */
  get isFull() {
    return this.#stalled !== undefined;
  }

  send(piece: Uint8Array) {
    if (piece.length === 0) return;
    if (!this.isFull) return this.#sent(this.viewer.send(piece));
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes > MAX_BYTES) this.#cutOff("more came than could be taken");
  }

  drain() {
    this.end();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    if (pieces.length > 0) this.#sent(this.viewer.send(Buffer.concat(pieces)));
  }

  end() {
    clearTimeout(this.#stalled);
    this.#stalled = undefined;
  }

  #sent(takesMore: boolean) {
    if (takesMore) return;
    const why = `nothing was taken for ${STALL_MS / 1000} s`;
    this.#stalled = setTimeout(() => this.#cutOff(why), STALL_MS);
  }

  #cutOff(why: string) {
    this.end();
    this.#pieces = [];
    this.#bytes = 0;
    this.viewer.close(CLOSED.tooSlow, `${why}; connect again`);
  }
}
