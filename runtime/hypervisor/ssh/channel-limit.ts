/** Limits channels per connection (sshd's MaxSessions); idle sessions are closed while a caller waits. */
import { Semaphore } from "../../core/semaphore.ts";

const CLOSE_IDLE_INTERVAL_MS = 50;
const CHANNEL_WAIT_MS = 30_000;

export class ChannelLimit {
  #slots: Semaphore;
  /** Called repeatedly while a caller waits. */
  onFull = () => {};

  constructor(channels: number) {
    this.#slots = new Semaphore({
      slots: channels,
      queue: Number.POSITIVE_INFINITY,
      waitMs: CHANNEL_WAIT_MS,
      slotName: "a free SSH channel",
    });
  }

  /** Resolves to the function that gives the channel back. Throws `busy`. */
  async acquire(): Promise<() => void> {
    if (this.#slots.free) return this.#slots.take();
    const channel = this.#slots.acquire();
    const closeIdle = setInterval(() => this.onFull(), CLOSE_IDLE_INTERVAL_MS);
    this.onFull();
    return channel.finally(() => clearInterval(closeIdle));
  }
}
