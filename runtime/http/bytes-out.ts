/**
 * An answer of bytes, or of the part of them that `Range` names (RFC 9110, 13 and 14). Bun asks for the next piece when the
 * client has taken the one before (https://github.com/oven-sh/bun/pull/32553).
 */
import type { Context } from "hono";
import type { BytePart, ByteStream, BytesOut } from "../core/bytes.ts";
import { HyperError } from "../core/errors.ts";
import type { Env } from "./call.ts";

export async function sentBytes(c: Context<Env>, bytes: BytesOut): Promise<Response> {
  const { call } = c.env;
  const { size, name, version } = bytes;
  if (isKnown(c, version)) {
    const headers = { ETag: tag(`${version}`), "Cache-Control": "no-store" };
    return c.body(null, 304, headers);
  }
  const part = requestedPart(c, bytes);
  const { first, length } = part ?? { first: 0, length: size };
  const headers = {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": `attachment; filename*=UTF-8''${encoded(name)}`,
    "Accept-Ranges": "bytes",
    "Content-Length": `${length}`, // of HEAD: Bun sends a stream in chunks
    "X-Content-Length": `${length}`,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    ...(version && { ETag: tag(version) }),
    ...(part && { "Content-Range": `bytes ${first}-${first + length - 1}/${size}` }),
  };
  const status = part ? 206 : 200;
  if (c.req.method === "HEAD") return c.body(null, status, headers);
  const source = await bytes.stream(part);
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  call.sending = promise;
  return c.body(watched(source, resolve) as ReadableStream, status, headers);
}

/** Tells how the stream has ended: at its end, with an error, or with its client. */
function watched(source: ByteStream, over: (error?: Error) => void): ByteStream {
  const reader = source.getReader();
  return new ReadableStream(
    {
      async pull(out) {
        try {
          const { done, value } = await reader.read();
          if (!done) return out.enqueue(value);
          out.close();
          over();
        } catch (error) {
          over(error as Error);
          out.error(error); // Bun cuts the connection, so that the client knows
        }
      },
      async cancel(reason) {
        over(new HyperError("cancelled", "the client disconnected"));
        await reader.cancel(reason).catch(() => {}); // it may have failed already
      },
    },
    { highWaterMark: 0 },
  );
}

/** Whether the client has these very bytes. Throws `precondition_failed` where it wants none but others. */
function isKnown(c: Context, version: string | undefined): boolean {
  const names = (header: string, weak: boolean) => {
    const text = c.req.header(header);
    if (text === undefined) return undefined;
    if (text.trim() === "*") return true;
    const tags = text.match(/(W\/)?"[^"]*"/g) ?? [];
    const known = weak ? tags.map((one) => one.replace(/^W\//, "")) : tags;
    return version !== undefined && known.includes(tag(version));
  };
  if (names("If-Match", false) === false) {
    const now = version === undefined ? "they have no ETag" : `their ETag is ${tag(version)}`;
    throw new HyperError("precondition_failed", `If-Match: the bytes are others by now; ${now}`);
  }
  return version !== undefined && names("If-None-Match", true) === true;
}

/** Undefined for all bytes: also where those that the client has a part of are others by now. */
function requestedPart(c: Context, { size, version }: BytesOut): BytePart | undefined {
  const text = c.req.header("Range");
  if (c.req.method !== "GET") return undefined; // no other method has a part
  if (text === undefined || !/^bytes\s*=/i.test(text)) return undefined; // other units are ignored
  const known = c.req.header("If-Range");
  if (known !== undefined && (version === undefined || known !== tag(version))) return undefined;
  const [, from = "", to = ""] = /^bytes\s*=\s*(\d{0,16})-(\d{0,16})\s*$/i.exec(text) ?? [];
  if (!from && !to) {
    const allowed = "one range, such as bytes=0-1023, bytes=1024- or bytes=-512";
    throw new HyperError("invalid_input", `Range: must be ${allowed}`);
  }
  const first = from ? Number(from) : Math.max(0, size - Number(to));
  const last = from && to ? Math.min(size - 1, Number(to)) : size - 1;
  if (from && to && Number(to) < Number(from))
    throw new HyperError("invalid_input", "Range: ends before it begins");
  if (first < size && (from || Number(to) > 0)) return { first, length: last - first + 1 };
  c.header("Content-Range", `bytes */${size}`);
  throw new HyperError("range_not_satisfiable", `Range: there are ${size} bytes`, {
    details: { size },
  });
}

const tag = (version: string) => `"${version}"`;

/** RFC 8187: encodeURIComponent leaves some marks that a header's value may not hold. */
const encoded = (name: string) =>
  encodeURIComponent(name).replace(/['()*!]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`);
