/** Windows that share a stream: one holds it, and all of them hear it, in whatever order they learn who holds it. */
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { slow } from "../../../../fixtures/slowness.ts";

type Share = (
  name: string,
  signal: AbortSignal,
  hold: (signal: AbortSignal, tell: (word: number) => void) => Promise<void>,
  hear: (word: number) => void,
) => Promise<void>;
// the page is checked with the types of a browser, which the tests do not have
const SHARE: string = join(import.meta.dirname, "../../../../../runtime/ui/page/state/share.ts");
const { share }: { share: Share } = await import(SHARE);

const ORDERS = 40;
const WINDOWS = 3;
/** Of whatever is told to a window. */
const LONGEST_DELAY_MS = 20;

interface Options {
  steal?: boolean;
  signal?: AbortSignal;
}
interface Wait {
  callback: () => Promise<void>;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

afterEach(() => {
  Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
});
function setLocks(
  request: (name: string, options: Options, callback: Wait["callback"]) => unknown,
) {
  Object.defineProperty(navigator, "locks", { value: { request }, configurable: true });
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Numbers from 0 to below 1, the same for the same seed. */
function random(seed: number) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** One lock, as Web Locks have it. That it is granted, or stolen, reaches a window some time later. */
function lock(delay: () => number) {
  let held: Wait | undefined;
  const waiting: Wait[] = [];
  const grant = (mine: Wait | undefined) => {
    held = mine;
    if (!mine) return;
    const release = () => held === mine && grant(waiting.shift());
    const begin = () => mine.callback().then(mine.resolve, mine.reject).finally(release);
    setTimeout(begin, delay());
  };
  return ({ steal, signal }: Options, callback: Wait["callback"]) =>
    new Promise<void>((resolve, reject) => {
      const mine = { callback, resolve, reject };
      const stolen = held;
      if (steal || !held) {
        grant(mine);
        setTimeout(() => stolen?.reject(new DOMException("stolen", "AbortError")), delay());
      } else waiting.push(mine);
      signal?.addEventListener("abort", () => {
        if (waiting.includes(mine)) waiting.splice(waiting.indexOf(mine), 1);
        reject(signal.reason);
      });
    });
}

/** A server that tells a number at the begin of each stream, and whenever it changes. */
function source() {
  const tells = new Set<(word: number) => void>();
  let now = 0;
  return {
    now: () => now,
    streams: () => tells.size,
    change() {
      now++;
      for (const tell of tells) tell(now);
    },
    async hold(signal: AbortSignal, tell: (word: number) => void) {
      await sleep(1);
      if (signal.aborted) return;
      tells.add(tell);
      tell(now);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      tells.delete(tell);
    },
  };
}

async function until(what: string, isSo: () => boolean) {
  const end = performance.now() + slow(3000);
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not so: ${what}`);
    await sleep(10);
  }
}

test(
  "windows that steal the lock at the same moment all hear the one of them that has it",
  async () => {
    const locks = new Map<string, ReturnType<typeof lock>>();
    setLocks((name, options, callback) => locks.get(name)?.(options, callback));
    const race = async (order: number) => {
      const dice = random(order);
      const delay = () => dice() * LONGEST_DELAY_MS;
      const name = `order-${order}`;
      locks.set(name, lock(delay));
      const server = source();
      const heard: number[] = [];
      const ends: AbortController[] = [];
      const begin = (window: number) => {
        ends[window]?.abort(); // as when the network has come back
        const end = new AbortController();
        ends[window] = end;
        void share(name, end.signal, server.hold, (word) => {
          if (!end.signal.aborted) heard[window] = word;
        });
      };
      const windows = [...Array(WINDOWS).keys()];
      const isTold = () =>
        server.streams() === 1 && windows.every((window) => heard[window] === server.now());
      for (let round = 0; round < 2; round++) {
        for (const window of windows) begin(window);
        for (let i = 0; i < 6; i++) {
          await sleep(delay());
          server.change();
        }
        await until(`${name}: all windows know what is so, of one stream`, isTold);
        await sleep(slow(150));
        server.change();
        await until(`${name}: all windows hear what changes`, isTold);
      }
      for (const end of ends) end.abort();
      await until(`${name}: no stream is left`, () => server.streams() === 0);
    };
    const orders = [...Array(ORDERS).keys()];
    const ended = await Promise.allSettled(orders.map(race));
    expect(ended.flatMap((one) => (one.status === "rejected" ? [`${one.reason}`] : []))).toEqual(
      [],
    );
  },
  slow(30_000),
);

test("a window that may have no lock holds a stream of its own", async () => {
  setLocks(() => Promise.reject(new DOMException("data of sites is blocked", "SecurityError")));
  const server = source();
  const heard: number[] = [];
  const end = new AbortController();
  const shared = share("refused", end.signal, server.hold, (word) => heard.push(word));
  await until("the stream is open", () => server.streams() === 1);
  server.change();
  expect(heard).toEqual([0, 1]);
  end.abort();
  await shared;
  expect(server.streams()).toBe(0);
});
