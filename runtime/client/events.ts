/** The events of an answer that is a stream. */
import { type ErrorCode, STATUS } from "../core/errors.ts";
import type { StreamEvent } from "../core/stream.ts";
import { errorOf } from "./body.ts";

/** Ends the connection when the caller's loop ends. `broken` makes the error of a connection that breaks. */
export async function* readEvents(
  { body }: Response,
  broken: (error: Error) => Error,
): AsyncGenerator<StreamEvent> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const step = await reader?.read().catch((error) => {
        throw broken(error);
      });
      if (!step || step.done) return;
      const frames = (text + decoder.decode(step.value, { stream: true })).split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) yield* read(frame);
    }
  } finally {
    await reader?.cancel().catch(() => {}); // it may be broken already
  }
}

/** Nothing for a comment, by which the server says that it is still there. */
function* read(frame: string): Generator<StreamEvent> {
  const fields = new Map<string, string>();
  for (const line of frame.split("\n")) {
    const [, name = "", value = ""] = /^([a-z]+): ?(.*)$/s.exec(line) ?? [];
    if (name) fields.set(name, value);
  }
  const data = fields.get("data");
  if (data === undefined) return;
  const [event, id] = [fields.get("event"), fields.get("id")];
  if (event === "error") {
    const body = JSON.parse(data);
    throw errorOf(STATUS[body.code as ErrorCode] ?? 500, body);
  }
  yield {
    ...(event !== undefined && { event }),
    ...(id !== undefined && { id }),
    data: JSON.parse(data),
  };
}
