/** Who has a serial console open: one of them types, the others watch. */
import type { Viewer } from "../core/socket.ts";
import { Backlog } from "./backlog.ts";

/** What viewers are told beside the guest's bytes; README.md describes it to programs. */
type Note =
  /** Somebody else types now. */
  | { type: "taken" }
  /** Nobody types any more. */
  | { type: "free" }
  /** The next bytes were written before the viewer came. */
  | { type: "kept" };

const tell = ({ viewer }: Backlog, note: Note) => void viewer.send(JSON.stringify(note));

export class SerialViewers {
  #backlogs = new Set<Backlog>();
  #typist: Backlog | undefined;

  get isTyped() {
    return this.#typist !== undefined;
  }

  /** The guest waits for who types alone; who watches too slowly is cut off. */
  get isFull() {
    return this.#typist?.isFull ?? false;
  }

  isTypist = (backlog: Backlog) => backlog === this.#typist;

  /** `kept`: what the guest wrote last, with which it begins. */
  add(viewer: Viewer, types: boolean, kept: Uint8Array): Backlog {
    const backlog = new Backlog(viewer);
    this.#backlogs.add(backlog);
    if (types) {
      this.#typist = backlog;
      this.#tellOthers({ type: "taken" });
    }
    if (kept.length > 0) tell(backlog, { type: "kept" });
    backlog.send(kept);
    return backlog;
  }

  remove(backlog: Backlog) {
    backlog.end();
    this.#backlogs.delete(backlog);
    if (!this.isTypist(backlog)) return;
    this.#typist = undefined;
    this.#tellOthers({ type: "free" });
  }

  send(piece: Uint8Array) {
    for (const backlog of this.#backlogs) backlog.send(piece);
  }

  close(code: number, reason: string) {
    for (const { viewer } of [...this.#backlogs]) viewer.close(code, reason);
  }

  #tellOthers(note: Note) {
    for (const backlog of this.#backlogs) if (!this.isTypist(backlog)) tell(backlog, note);
  }
}
