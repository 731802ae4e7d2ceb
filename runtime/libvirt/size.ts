/** Sizes as people write them, in bytes as libvirt counts them. */
import * as z from "zod";

const POWERS = ["", "K", "M", "G", "T", "P", "E"];

/** `512MiB`, `1.5 GB`, `100M`: KiB and K are 1024, KB is 1000, as in libvirt. Undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const found = text.match(/^(\d+(?:\.\d+)?)\s*(?:([KMGTPE]?)(B|iB)?|bytes?)$/i);
  if (!found) return undefined;
  const power = POWERS.indexOf((found[2] ?? "").toUpperCase());
  const base = found[3]?.toUpperCase() === "B" && power > 0 ? 1000 : 1024;
  return Math.round(Number(found[1]) * base ** power);
}

/** A capacity: a number is GiB, a string has a unit. Becomes bytes. */
export const Capacity = z
  .union([z.number(), z.string()])
  .describe('GiB as a number, or a string with a unit such as "512MiB"')
  .transform((value, ctx) => {
    const bytes = typeof value === "number" ? Math.round(value * 1024 ** 3) : parseSize(value);
    if (bytes !== undefined && bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
    ctx.addIssue('must be more than 0: GiB as a number, or a string with a unit such as "512MiB"');
    return z.NEVER;
  });
