/** What becomes of the firmware's variables and the TPM's state on a side that lets its domain go. */
import { HyperError } from "../../core/errors.ts";
import { readState } from "./copy-state.ts";
import { isSameFile } from "./same-file.ts";
import type { Sides } from "./sides.ts";

export interface StateLeft {
  /** Of `undefine`. */
  flags: string[];
  /** What stays though the other side uses files of its own, or may do so. */
  files: string[];
}

/** They go with the definition, unless the other side uses the same ones, or has none that can be seen. */
export async function readStateLeft(sides: Sides): Promise<StateLeft> {
  const { nvram, tpm } = await readState(sides).catch((error) => {
    if (error instanceof HyperError) return { nvram: undefined, tpm: undefined };
    throw error;
  });
  const isUsed = async (path: string | undefined) =>
    path === undefined ? undefined : await isSameFile(sides, path);
  const [same, sameTpm] = [await isUsed(nvram), await isUsed(tpm)];
  return {
    flags: [
      same === false ? "--nvram" : "--keep-nvram",
      sameTpm === false ? "--tpm" : "--keep-tpm",
    ],
    files: [
      ...(nvram && same === undefined ? [nvram] : []),
      ...(tpm && sameTpm === undefined ? [tpm] : []),
    ],
  };
}
