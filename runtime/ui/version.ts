/** The version of a part of the page, which the page asks for. */
import * as z from "zod";

export const Version = z
  .string()
  .regex(/^[0-9a-f]{16}$/)
  .optional()
  .describe("its version, as the page names it: browsers keep the answer");
