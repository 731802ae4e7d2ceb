/** Checksums of bytes, as a publisher of images writes them beside these. */
import * as z from "zod";

const digest = (name: string, digits: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${digits}}$`, "i"), `must be ${digits} hexadecimal digits`)
    .describe(`${name} of all bytes as they come, before they are unpacked; others are refused`);

export const Sha256 = digest("SHA-256", 64);
export const Sha512 = digest("SHA-512", 128);
