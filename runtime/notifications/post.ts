/** One POST to a receiver: to a checked address, with its certificate checked, and without following a redirect. */
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { isIP } from "node:net";
import { connect as secure } from "node:tls";
import { connectTo } from "../core/destination.ts";
import { HyperError } from "../core/errors.ts";
import { version } from "../core/version.ts";
import { allowed, authorities } from "./allowed.ts";

const TIMEOUT_MS = 15_000;
/** Of an answer nothing is needed but its status; a person reads the begin of a refusal, where it comes soon. */
const SHOWN_CHARACTERS = 200;
const BODY_MS = 1000;

export interface Reply {
  status: number;
  /** The begin of the body. */
  text: string;
  ms: number;
}

/** Throws `invalid_input` for a destination that is not allowed, and `unreachable`, `timed_out`. */
export async function post(
  target: string,
  body: string,
  headers: Record<string, string>,
): Promise<Reply> {
  const url = new URL(target);
  const began = performance.now();
  const isSecure = url.protocol === "https:";
  const port = Number(url.port) || (isSecure ? 443 : 80);
  const { request } = await (isSecure ? import("node:https") : import("node:http"));
  const host = url.hostname.replace(/^\[|\]$|\.$/g, "");
  const named = isIP(host) ? { host } : { host, servername: host }; // TLS names no address
  const ca = authorities();
  const socket = await connectTo(url.hostname, port, allowed());
  const options: RequestOptions = {
    // the address, in case that Bun makes a connection of its own, as it does where `agent` is false
    ...{ method: "POST", host: `${socket.remoteAddress}`, port, path: url.pathname + url.search },
    headers: {
      Host: url.host,
      "Content-Type": "application/json",
      "Content-Length": `${Buffer.byteLength(body)}`,
      "User-Agent": `hypersdk/${version}`,
      ...headers,
    },
    createConnection: () => (isSecure ? secure({ socket, ...named, ...(ca && { ca }) }) : socket),
  };
  try {
    return { ...(await answered(request(options), body)), ms: performance.now() - began };
  } catch (error) {
    if (error instanceof HyperError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code ?? message;
    throw new HyperError("unreachable", `${url.host} gave no answer: ${why}`, { cause: error });
  } finally {
    socket.destroy();
  }
}

function answered(request: ClientRequest, body: string): Promise<Omit<Reply, "ms">> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      reject(new HyperError("timed_out", `it gave no answer within ${TIMEOUT_MS / 1000} s`));
      request.destroy();
    }, TIMEOUT_MS);
    const end = (work: () => void) => {
      clearTimeout(late);
      work();
    };
    request.once("error", (error) => end(() => reject(error)));
    request.once("response", (response) => {
      const { statusCode: status = 0 } = response;
      read(response).then((text) => end(() => resolve({ status, text })));
    });
    request.end(body);
  });
}

/** A message whose answer is cut off has arrived, and would be told twice if that were an error. */
async function read(response: IncomingMessage): Promise<string> {
  let text = "";
  const late = setTimeout(() => response.destroy(), BODY_MS);
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      text += chunk;
      if (text.length >= SHOWN_CHARACTERS) break; // a long body is not waited for
    }
  } catch {
    // what came of it is shown
  } finally {
    clearTimeout(late);
  }
  return text.slice(0, SHOWN_CHARACTERS).toWellFormed();
}

/** A refusal of this very message, which it would meet again each time. */
export class FinalRefusal extends HyperError {}

/** The receiver cannot read it, it is too large, or its content is wrong. */
const FINAL = [400, 413, 422];

/** Throws `unreachable` unless the receiver has taken it. */
export function checkTaken({ status, text }: Reply) {
  if (status >= 200 && status < 300) return;
  const why = status >= 300 && status < 400 ? "a redirect, which is not followed" : text.trim();
  const Refusal = FINAL.includes(status) ? FinalRefusal : HyperError;
  throw new Refusal("unreachable", `it answered ${status}${why ? `: ${why}` : ""}`);
}
