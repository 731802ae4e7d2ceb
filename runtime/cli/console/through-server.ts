/** A console that a server opens, over a WebSocket. */
import { HyperError } from "../../core/errors.ts";
import { CLOSED, type SocketEnd, type Viewer } from "../../core/socket.ts";

/** Bun's client cannot be told to wait, so what a slow terminal has not taken is kept, up to here. */
const MAX_UNTAKEN = 16 * 2 ** 20;

/** Bun's client keeps what has come until there is a viewer for it. */
export async function throughServer(
  server: string,
  kind: "vnc" | "serial",
  query: Record<string, string>,
  token: string | undefined,
): Promise<SocketEnd> {
  if (!/^https?:/.test(server) || !URL.canParse(server))
    throw new HyperError("invalid_input", `server: ${server} is not a URL of http or https`);
  const url = `${server.replace(/\/+$/, "")}/console/${kind}?${new URLSearchParams(query)}`;
  const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
  const socket = new WebSocket(url.replace(/^http/, "ws"), { headers } as never);
  socket.binaryType = "arraybuffer";
  let viewer: Viewer | undefined;
  let early: (Uint8Array | string)[] = [];
  let over: { code: number; reason: string } | undefined;
  let untaken = 0;
  const give = (one: Viewer, piece: Uint8Array | string) => {
    if (one.send(piece) && untaken === 0) return;
    untaken += piece.length;
    if (untaken <= MAX_UNTAKEN) return;
    one.close(CLOSED.tooSlow, "more came than could be taken; connect again");
    socket.close();
  };
  socket.addEventListener("message", ({ data }) => {
    const piece = typeof data === "string" ? data : new Uint8Array(data);
    if (viewer) give(viewer, piece);
    else early.push(piece);
  });
  socket.addEventListener("close", ({ code, reason }) => {
    over = { code, reason };
    viewer?.close(code, reason);
  });
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.addEventListener("open", () => resolve(true), { once: true });
    socket.addEventListener("close", () => resolve(false), { once: true });
  });
  if (!isOpen) throw await refusal(url, headers);
  return {
    open(one) {
      viewer = one;
      for (const piece of early) give(one, piece);
      early = [];
      if (over) one.close(over.code, over.reason);
    },
    message: (data) => socket.send(data as Uint8Array<ArrayBuffer>),
    drain() {
      untaken = 0;
    },
    close: () => socket.close(),
  };
}

/** A WebSocket does not tell the answer that refused it, so the same is asked again. */
async function refusal(url: string, headers: Record<string, string>): Promise<Error> {
  const upgrade = {
    ...{ Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
    "Sec-WebSocket-Key": Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64"),
  };
  const signal = AbortSignal.timeout(5000);
  const answer = fetch(url, { headers: { ...headers, ...upgrade }, signal });
  const body = await answer
    .then((response) => response.json() as Promise<{ error?: string; code?: never }>)
    .catch(() => undefined);
  if (body?.error) return new HyperError(body.code ?? "unreachable", body.error);
  return new HyperError("unreachable", `${new URL(url).origin}: no connection`);
}
