/** Bytes of a call: from standard input or a file, to standard output or a file. */
import { randomBytes } from "node:crypto";
import { createWriteStream, existsSync, fstatSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BytesIn, BytesOut } from "../core/bytes.ts";
import { methodsOf } from "../core/method.ts";
import type { Progress } from "../core/progress.ts";
import type { Spec } from "../function/define.ts";
import { UsageError } from "./report.ts";

export interface ByteOptions {
  /** A file whose bytes the call brings; standard input unless given. */
  input?: string;
  /** A file for the bytes that it gives; standard output unless given. */
  output?: string;
}

/** The bytes that a call is to bring. Of GET and PUT, it is PUT where standard input is a file or a pipe. */
export function bytesFor(name: string, spec: Spec, { input, output }: ByteOptions) {
  if (!spec.body && input !== undefined) throw new UsageError(`--input: ${name} takes no bytes`);
  if (spec.stream !== "bytes" && output !== undefined)
    throw new UsageError(`--output: ${name} gives no bytes`);
  if (!spec.body || output !== undefined) return undefined;
  if (input !== undefined && !existsSync(input))
    throw new UsageError(`--input: there is no file ${input}`);
  const body = input === undefined ? standardInput() : Bun.file(input);
  if (body || methodsOf(spec).includes("GET")) return body;
  throw new UsageError(`${name} takes bytes: < FILE, or --input FILE`);
}

function standardInput(): BytesIn | undefined {
  const stat = fstatSync(0);
  if (stat.isFile()) return Bun.file("/dev/stdin"); // which has a size
  return stat.isFIFO() || stat.isSocket() ? { stream: () => Bun.stdin.stream() } : undefined;
}

/** A pipe may be one that says "later" when it is full, which a stream of node:fs takes for a failure. */
async function toStandardOutput(chunks: AsyncIterable<Uint8Array>) {
  const writer = Bun.stdout.writer();
  for await (const chunk of chunks) {
    writer.write(chunk);
    await writer.flush();
  }
  await writer.end();
}

/** Writes all bytes. A file has its name only once it is complete. */
export async function saveBytes(bytes: BytesOut, { output }: ByteOptions, progress: Progress) {
  if (output === undefined && process.stdout.isTTY)
    throw new UsageError("bytes are not for a terminal: > FILE, or --output FILE");
  const { size: total } = bytes;
  let done = 0;
  const counting = new Transform({
    transform(chunk: Uint8Array, _encoding, next) {
      done += chunk.length;
      progress({ phase: "downloading", percent: (done / total) * 100, bytes: done, total });
      next(null, chunk);
    },
  });
  const source = Readable.fromWeb((await bytes.stream()) as never);
  if (output === undefined) return pipeline(source, counting, toStandardOutput);
  const partial = `${output}.${randomBytes(4).toString("hex")}.part`;
  try {
    await pipeline(source, counting, createWriteStream(partial, { flags: "wx" }));
    await rename(partial, output);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
