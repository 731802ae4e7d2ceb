/** Bytes of any number on their way into a call or out of it: streams, of which a piece at a time is in memory. */

export type ByteStream = ReadableStream<Uint8Array>;

/** What a call takes, such as a `Blob` or Bun's file. */
export interface BytesIn {
  /** Undefined where it is known only at the end. */
  size?: number | undefined;
  stream(): ByteStream;
}

/** A part of what a call gives. */
export interface BytePart {
  first: number;
  length: number;
}

/** What a call gives. Nothing is read until its stream is asked for. */
export interface BytesOut {
  size: number;
  /** The name that the bytes have as a file. */
  name: string;
  /** Another word means other bytes, such as those of a file that has changed; undefined where that is unknown. */
  version?: string | undefined;
  /** All of it unless a part is given. A stream that ends early fails. */
  stream(part?: BytePart): Promise<ByteStream>;
}

export const isBytesOut = (data: unknown): data is BytesOut =>
  typeof data === "object" &&
  data !== null &&
  "stream" in data &&
  typeof data.stream === "function";

interface Moving {
  body?: "stream";
  stream?: unknown;
}

/** Whether a function takes or gives bytes: then it is no job, and is not answered twice. */
export const movesBytes = ({ body, stream }: Moving) => body === "stream" || stream === "bytes";
