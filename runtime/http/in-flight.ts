/** The calls that are being answered, for a server that is to end. */
export interface Running {
  /** In the answer's `X-Request-Id`, and in every log line of this call. */
  id: string;
  /** Where it stands among them. */
  place: number;
  /** Ends what can be undone. */
  abort(): void;
  /** Not answered, and never will be. */
  recordUnknown(): void;
}

/** In no order; a Set would take a call 10 µs more. */
const running: Running[] = [];
let idle: (() => void) | undefined;

/** A call has come. */
export function begin(call: Running) {
  call.place = running.length;
  running.push(call);
}

/** It is answered. */
export function end(call: Running) {
  const last = running.pop() as Running;
  if (last !== call) {
    running[call.place] = last;
    last.place = call.place;
  }
  if (running.length === 0) idle?.();
}

/** Resolves when no call is being answered. */
export async function allAnswered() {
  if (running.length === 0) return;
  await new Promise<void>((resolve) => {
    idle = resolve;
  });
}

export const runningCalls = () => [...running];
