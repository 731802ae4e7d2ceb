/** Sizes as people write them, with libvirt's units, in bytes. */
import * as z from "zod";

const POWERS = ["", "K", "M", "G", "T", "P", "E"];

/** Parses `512MiB`, `1.5 GB`, `100M`: KiB and K are 1024, KB is 1000, as in libvirt. Undefined if it is no size. */
export function parseSize(text: string): number | undefined {
  const match = text.match(/^(\d+(?:\.\d+)?)\s*(?:([KMGTPE]?)(B|iB)?|bytes?)$/i);
  if (!match) return undefined;
  const power = POWERS.indexOf((match[2] ?? "").toUpperCase());
  const base = match[3]?.toUpperCase() === "B" && power > 0 ? 1000 : 1024;
  return Math.round(Number(match[1]) * base ** power);
}

/** As a number it would be GiB, and to libvirt it is bytes. */
const WITHOUT_UNIT = /^\d+(\.\d+)?\s*$/;

/** A capacity in bytes, from a number of GiB or a string with a unit. */
export const Capacity = z
  .union([z.number(), z.string()])
  .describe('GiB as a number, or a string with a unit such as "512MiB"')
  .transform((value, ctx) => {
    if (typeof value === "string" && WITHOUT_UNIT.test(value)) {
      const number = value.trim();
      ctx.addIssue(`a text needs a unit, such as "${number}GiB"; the number ${number} is GiB too`);
      return z.NEVER;
    }
    const bytes = typeof value === "number" ? Math.round(value * 1024 ** 3) : parseSize(value);
    if (bytes !== undefined && bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
    ctx.addIssue('must be more than 0: GiB as a number, or a string with a unit such as "512MiB"');
    return z.NEVER;
  });

/** The memory of a new domain. Fewer MiB start no guest; such a number was meant as GiB. */
export const NewMemory = z
  .int()
  .min(16, "must be at least 16, since it is in MiB: 2 GiB are 2048")
  .max(1 << 30);
