/** The bytes of a URL as one stream, and their checksums. */
import { createHash } from "node:crypto";
import type { BytesIn } from "../../core/bytes.ts";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { request, serverError } from "./request.ts";
import { resumable } from "./resume.ts";
import { shown } from "./url.ts";

export interface Source {
  url: string;
  /** In hexadecimal, of all bytes as they come, which may be compressed. */
  sha256?: string | undefined;
  sha512?: string | undefined;
}

export interface Download extends BytesIn {
  /** Of all bytes, once they were read. */
  sha256(): string;
  /** Ends the connection, whether its bytes were read or not. */
  close(): void;
}

/** Asks for the bytes, which flow with the stream. One whose checksum is another ends in an error, after all its bytes. */
export async function openDownload(
  { signal, log }: Pick<Context, "signal" | "log">,
  { url, sha256, sha512 }: Source,
  field = "url",
): Promise<Download> {
  const first = await request(url, field, {}, signal);
  const { message } = first;
  if (message.statusCode !== 200) {
    message.destroy();
    throw serverError(field, first.url, `answers ${message.statusCode} to a plain GET`);
  }
  const length = Number(message.headers["content-length"] ?? Number.NaN);
  const size = Number.isSafeInteger(length) ? length : undefined;
  log.info(`${shown(first.url)} is downloaded, of ${size ?? "unknown"} bytes.`);
  let digest = "";
  return {
    size,
    sha256: () => digest,
    close: () => void message.destroy(),
    stream() {
      const own = createHash("sha256");
      const other = sha512 === undefined ? undefined : createHash("sha512");
      return resumable(
        { first, url, size, field, signal, log },
        {
          onChunk(chunk) {
            own.update(chunk);
            other?.update(chunk);
          },
          onEnd() {
            digest = own.digest("hex");
            assertDigest("sha256", sha256, digest);
            assertDigest("sha512", sha512, other?.digest("hex"));
          },
        },
      );
    },
  };
}

function assertDigest(name: string, wanted: string | undefined, found: string | undefined) {
  if (wanted === undefined || wanted.toLowerCase() === found) return;
  throw new HyperError("invalid_input", `${name}: that of the download is ${found}, not ${wanted}`);
}
