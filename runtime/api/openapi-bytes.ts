/** Bytes in an API description: a body that is a file, and an answer of which a client may ask for a part. */
import * as z from "zod";
import type { Method } from "../core/method.ts";
import type { Spec } from "../function/define.ts";

/** Swagger UI has a field for a file where it finds this format. */
const CONTENT = { "application/octet-stream": { schema: { type: "string", format: "binary" } } };

export const takesBytes = ({ body }: Spec, method: Method) => body === "stream" && method !== "GET";

export const givesBytes = (spec: Spec, method: Method) =>
  spec.stream === "bytes" && method === "GET";

export const bytesBody = () => ({
  required: true,
  description: "the bytes themselves, of any number; in chunks where it is not known before",
  content: CONTENT,
});

/** Of bytes, with `Accept: application/json`. */
export const BASE64 = z.object({ media: z.string().describe("content type"), base64: z.string() });

/** A function that answers with bytes which it has in memory. */
export const isPicture = ({ media, output }: Spec) =>
  media !== undefined && output.type === "custom";

export const pictureContent = (media: string, base64: object) => ({
  [media]: { schema: { type: "string", format: "binary" } },
  "application/json": { schema: base64 },
});

const RANGE = "one range, such as `bytes=0-1023`, `bytes=1024-` or `bytes=-512`";

export const rangeParameters = () => [
  { name: "Range", in: "header", description: RANGE, schema: { type: "string" } },
  {
    name: "If-Range",
    in: "header",
    description: "the `ETag` of a part that is there already; of other bytes by now, all come anew",
    schema: { type: "string" },
  },
  {
    name: "If-None-Match",
    in: "header",
    description: "the `ETag` of bytes that are there already, of which nothing comes",
    schema: { type: "string" },
  },
  {
    name: "If-Match",
    in: "header",
    description: "the `ETag` of the bytes that are wanted and no others",
    schema: { type: "string" },
  },
];

const text = (description: string) => ({ description, schema: { type: "string" } });

export function bytesResponses({ summary }: Spec) {
  const headers = {
    "Accept-Ranges": text("`bytes`"),
    "X-Content-Length": text("how many bytes come, in chunks"),
    ETag: text("another one means other bytes; left out where that is unknown"),
  };
  const range = { "Content-Range": text("which bytes these are, and of how many") };
  return {
    200: { description: summary, headers, content: CONTENT },
    206: {
      description: "the part that `Range` names",
      headers: { ...headers, ...range },
      content: CONTENT,
    },
    304: {
      description: "the bytes are those of `If-None-Match`",
      headers: { ETag: headers.ETag },
    },
  };
}
