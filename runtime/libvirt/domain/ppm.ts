/** Pictures of the format PPM ("P6"), in which older QEMUs show a screen. */
import { HyperError } from "../../core/errors.ts";

/** After the format, three numbers (width, height, greatest value), with comments between them, and one space. */
const HEADER = /^P6(?:\s+|#[^\n]*\n)+(\d+)(?:\s+|#[^\n]*\n)+(\d+)(?:\s+|#[^\n]*\n)+(\d+)\s/;
const MAX_HEADER = 1024;

/** Throws `unsupported` for what is no picture of 8 bits a colour, or is cut off. */
export async function ppmToPng(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const [header = "", ...numbers] =
    HEADER.exec(Buffer.from(bytes.subarray(0, MAX_HEADER)).toString("latin1")) ?? [];
  const [width = 0, height = 0, greatest] = numbers.map(Number);
  const data = bytes.subarray(header.length, header.length + width * height * 3);
  if (greatest !== 255 || data.length === 0 || data.length < width * height * 3)
    throw new HyperError("unsupported", "the hypervisor's picture cannot be read as PPM");
  const { encode } = await import("fast-png"); // what QEMU makes by itself needs none
  return new Uint8Array(encode({ width, height, data, channels: 3 }));
}
