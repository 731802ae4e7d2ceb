/**
 * The body of a call that brings bytes. It is not read here: Bun stops reading from the connection once 1 MiB waits for
 * its reader (https://github.com/oven-sh/bun/pull/36006), and fails the stream of a body that ends early.
 */
import type { Context, Next } from "hono";
import type { ByteStream } from "../core/bytes.ts";
import { HyperError } from "../core/errors.ts";
import type { Env } from "./call.ts";

const TYPE = "application/octet-stream";

/** Throws for a body that is not the bytes themselves, such as a form of curl's `-F`. */
export async function takeBytes(c: Context<Env>, next: Next) {
  const type = c.req.header("Content-Type") ?? TYPE;
  if (type.replace(/\s*;.*/, "").toLowerCase() !== TYPE)
    throw unsupported(`Content-Type must be ${TYPE} or left out, not ${type}`);
  const encoding = c.req.header("Content-Encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity")
    throw unsupported(`Content-Encoding must be left out, not ${encoding}`);
  if (c.req.header("Content-Range") !== undefined)
    throw new HyperError("invalid_input", "Content-Range: a PUT takes all bytes at once");
  const length = c.req.header("Content-Length");
  const { body } = c.req.raw;
  c.env.call.body = {
    size: body ? (length === undefined ? undefined : Number(length)) : 0,
    stream: () => body ?? (new Blob().stream() as ByteStream),
  };
  return next();
}

const unsupported = (text: string) => new HyperError("unsupported_media_type", text);
