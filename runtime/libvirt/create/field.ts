/** Errors that begin with the name of the input's field that they are about. */
import { type ErrorCode, HyperError } from "../../core/errors.ts";

/** These are about no field. */
const OF_THE_CALL: ErrorCode[] = [
  ...(["unreachable", "busy", "timed_out", "outcome_unknown"] as const),
  ...(["cancelled", "superseded", "internal", "forbidden"] as const),
];

/** Of what other endpoints say about their own fields. */
const FOREIGN_FIELD = /^(source_path|files|url): /;
/** Of what image/fetch says about fields that a disk has too, beside its image. */
const BESIDE_IMAGE = /^(disks\[\d+\])\.image: (capacity|sha256|sha512): /;
const FOREIGN_ADVICE = /, or import it as it is with source_format: "raw"$/;

/** Runs a step; its errors get the field's name. */
export async function inField<T>(field: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof HyperError) || OF_THE_CALL.includes(error.code)) throw error;
    const text = error.message.replace(FOREIGN_FIELD, "").replace(FOREIGN_ADVICE, "");
    const { code, details } = error;
    const named = `${field}: ${text}`.replace(
      BESIDE_IMAGE,
      (_, disk, own) => `${disk}.${own === "capacity" ? "size" : own}: `,
    );
    throw new HyperError(code, named, { cause: error, details });
  }
}
