/**
 * WebSockets: a request becomes one when its function has connected it to the guest. It ends with either end, with the
 * right to it, when nothing passes for long, and with the server. Its begin and its end are lines of the audit log.
 */
import type { Context } from "hono";
import { describeCaller } from "../access/caller.ts";
import { HyperError } from "../core/errors.ts";
import { CLOSED, type SocketEnd, type Viewer } from "../core/socket.ts";
import { audit, checkAudit, type Entry } from "./audit.ts";
import type { Call, Env } from "./call.ts";
import { whileAllowed } from "./check-token.ts";
import { openSockets } from "./in-flight.ts";

/** How often it is looked whether anything passes. */
const CHECK_MS = 500;

/** The only one that we speak: noVNC asks for it. */
const PROTOCOL = "binary";

export const isUpgrade = (c: Context) => c.req.header("Upgrade")?.toLowerCase() === "websocket";

/** Throws `busy` while there are as many WebSockets as configured, and before a change that could not be audited. */
export function checkSocket(c: Context<Env>): Record<string, string> {
  const { settings } = c.env.call;
  checkAudit();
  if (openSockets.size >= settings.console.open) {
    const text = `${settings.console.open} consoles are open already; [console] open allows more`;
    throw new HyperError("busy", text);
  }
  const asked = c.req.header("Sec-WebSocket-Protocol");
  if (asked === undefined) return {};
  // Bun would answer with the first one that is asked for, whatever it is (1.4.5)
  const known = asked.split(",").some((one) => one.trim() === PROTOCOL);
  if (known) return { "Sec-WebSocket-Protocol": PROTOCOL };
  throw new HyperError("invalid_input", `Sec-WebSocket-Protocol: must be ${PROTOCOL}, or left out`);
}

/** Makes the request a WebSocket that is connected to the guest's end. */
export function upgraded(
  c: Context<Env>,
  end: SocketEnd,
  {
    abort,
    headers,
    isRefused = false,
  }: { abort: () => void; headers: Record<string, string>; isRefused?: boolean },
): Response {
  const { call } = c.env;
  const socket = new Socket(call, end, abort, isRefused);
  const { arrival } = call;
  const options = { data: socket as never, headers: { ...headers, "X-Request-Id": call.id } };
  if (arrival?.server.upgrade(c.req.raw, options)) return new Response(null); // Bun has answered
  socket.close(CLOSED.done, "");
  throw new HyperError("invalid_input", "this request cannot become a WebSocket");
}

/** The guest's end of a connection that failed before there was one. */
export const closedAtOnce = ({ code, message }: HyperError): SocketEnd => ({
  open: (viewer) => viewer.close(CLOSED.failed, `${code}: ${message}`),
  message() {},
  drain() {},
  close() {},
});

/** The part of Bun's WebSocket that is used here. */
interface Wire {
  sendBinary(data: Uint8Array): number;
  sendText(data: string): number;
  close(code?: number, reason?: string): void;
}

/** `data` of Bun's WebSocket, whose events `server/listen.ts` hands on. */
export class Socket implements Viewer {
  #call: Call;
  #end: SocketEnd;
  #abort: () => void;
  #wire: Wire | undefined;
  #isOver = false;
  #began = performance.now();
  #passed = performance.now();
  #bytes = { in: 0, out: 0 };
  #reason: { code: number; text: string } | undefined;

  /** It never was a console, and is none for the audit log. */
  #isRefused: boolean;
  #leave: () => void;

  constructor(call: Call, end: SocketEnd, abort: () => void, isRefused: boolean) {
    this.#isRefused = isRefused;
    this.#call = call;
    this.#end = end;
    this.#abort = abort;
    openSockets.add(this);
    this.#leave = whileAllowed(call, ({ message }) => this.close(CLOSED.forbidden, message));
    watch();
  }

  open(wire: Wire) {
    this.#wire = wire;
    if (!this.#isRefused) this.#record({ result: "opened", status: 101, duration_ms: 0 });
    this.#call.log.info(this.#fields(), `${this.#call.path} is open`);
    if (this.#isOver) wire.close(this.#reason?.code, this.#reason?.text);
    else this.#end.open(this);
  }

  message(data: string | Uint8Array) {
    if (this.#isOver) return;
    this.#passed = performance.now();
    this.#bytes.in += data.length;
    this.#end.message(data);
  }

  drain() {
    if (!this.#isOver) this.#end.drain();
  }

  send(data: Uint8Array | string): boolean {
    if (this.#isOver || !this.#wire) return true;
    const sent = typeof data === "string" ? this.#wire.sendText(data) : this.#wire.sendBinary(data);
    if (sent === 0 && data.length > 0) {
      this.close(CLOSED.tooSlow, "a piece was lost; connect again"); // a console with a hole is broken
      return true;
    }
    this.#passed = performance.now();
    this.#bytes.out += data.length;
    return sent !== -1;
  }

  /** From our side. A reason has at most 123 bytes. */
  close(code: number, reason: string) {
    if (this.#isOver) return;
    const text = Buffer.from(reason)
      .subarray(0, 120)
      .toString()
      .replace(/\ufffd$/, "");
    this.#reason = { code, text };
    this.#wire?.close(code, text);
    this.closed(code, text);
  }

  /** Called when the connection has ended, whoever has ended it. */
  closed(code: number, reason: string) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reason ??= { code, text: reason };
    openSockets.delete(this);
    this.#leave();
    this.#abort();
    this.#end.close();
    if (!this.#wire || this.#isRefused) return;
    const ms = Math.round(performance.now() - this.#began);
    const { in: bytes_in, out: bytes_out } = this.#bytes;
    const error = [code, reason].join(" ").trim();
    this.#record({
      ...{ result: "closed", status: null, error, duration_ms: ms, bytes_in, bytes_out },
    });
    const fields = { ...this.#fields(), ms, bytes_in, bytes_out, closed: error };
    this.#call.log.info(fields, `${this.#call.path} is closed`);
  }

  /** The server ends. */
  end() {
    this.close(CLOSED.serverEnds, "the server ends; connect again");
  }

  check(now: number) {
    const { idle } = this.#call.settings.console;
    if (now - this.#passed > idle * 1000)
      this.close(CLOSED.done, `nothing has passed for ${idle} s`);
  }

  #fields() {
    const { path, host, address, caller, input } = this.#call;
    const { name } = input as { name?: string };
    return { path, host, name, address, who: caller && describeCaller(caller) };
  }

  #record(outcome: Pick<Entry, "result" | "status" | "duration_ms"> & Partial<Entry>) {
    const { caller, id, address, path, host, input } = this.#call;
    const { kind, name } = caller ?? { kind: "process", name: "" };
    const time = new Date().toISOString();
    const { ticket: _, ...rest } = input as { ticket?: string };
    const about = { request_id: id, address, function: path, host, arguments: rest };
    audit({ time, who: { kind, name }, ...about, ...outcome });
  }
}

let timer: NodeJS.Timeout | undefined;

/** One timer for all, while there is one. */
function watch() {
  timer ??= setInterval(() => {
    const now = performance.now();
    for (const socket of openSockets) socket.check(now);
    if (openSockets.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }, CHECK_MS);
  timer.unref();
}
