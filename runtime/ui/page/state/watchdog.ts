/** Ends a stream from which nothing comes: a network that is gone leaves its connections as they are. */

/** The server says every 15 seconds that it is still there. */
const SILENT_MS = 35_000;

export function watched(response: Response): Response {
  const { body, status, headers } = response;
  if (!body || !headers.get("Content-Type")?.startsWith("text/event-stream")) return response;
  let timer = 0;
  const heard = (end: { error(reason: Error): void }) => {
    clearTimeout(timer);
    timer = window.setTimeout(
      () => end.error(new Error("nothing was heard of the server for 35 s")),
      SILENT_MS,
    );
  };
  const dog = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    start: heard,
    transform(piece, out) {
      heard(out);
      out.enqueue(piece);
    },
    flush: () => clearTimeout(timer),
  });
  return new Response(body.pipeThrough(dog), { status, headers });
}
