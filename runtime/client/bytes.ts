/** Bytes that a call brings to a server, and those that it gets from one. */

import type { BytePart, ByteStream, BytesIn, BytesOut } from "../core/bytes.ts";
import { HyperError } from "../core/errors.ts";

const TYPE = "application/octet-stream";

/** The part of a request that has the body. */
export function requestBytes(body: BytesIn, headers: Headers) {
  headers.set("Content-Type", TYPE);
  // of a Blob `fetch` tells the size; Node wants to know that the answer comes after a stream
  return body instanceof Blob ? { body } : { body: body.stream(), duplex: "half" };
}

export const isBytes = ({ ok, headers }: Response) =>
  ok && headers.get("Content-Type") === TYPE && headers.has("Accept-Ranges");

/** The bytes of an answer, which waits until they are read; `again` asks for a part of them. */
export function readBytes(
  response: Response,
  again: (range: [string, string][]) => Promise<Response>,
): BytesOut {
  let whole: Response | undefined = response;
  const { headers } = response;
  const version = headers.get("ETag")?.replace(/^"(.*)"$/, "$1");
  return {
    size: Number(headers.get("X-Content-Length")),
    name: decodeURIComponent(
      /filename\*=UTF-8''([^;]*)/.exec(headers.get("Content-Disposition") ?? "")?.[1] ?? "",
    ),
    version,
    async stream(part?: BytePart) {
      const first = part ? undefined : whole;
      if (!first) await whole?.body?.cancel();
      whole = undefined;
      const { body, status } = first ?? (await again(part ? rangeOf(part, version) : []));
      if (part && status !== 206) {
        await body?.cancel();
        throw new HyperError("in_use", "the bytes have changed since the first answer");
      }
      return (body ?? new Blob().stream()) as ByteStream;
    },
  };
}

function rangeOf({ first, length }: BytePart, version: string | undefined): [string, string][] {
  const range: [string, string] = ["Range", `bytes=${first}-${first + length - 1}`];
  return version === undefined ? [range] : [range, ["If-Range", `"${version}"`]];
}
