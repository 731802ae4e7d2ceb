/** Fields that the consoles' functions share. */
import * as z from "zod";

/** Of a query: true, false, 1 or 0. */
const Flag = z
  .union([z.boolean(), z.literal([0, 1])], "must be true or false")
  .default(false)
  .transform(Boolean);

export const ViewOnly = Flag.describe(
  "only watch; without it a WebSocket needs the access operate",
);
export const Force = Flag.describe("take over from who types now");
export const TicketField = z
  .string()
  .max(100)
  .optional()
  .describe("of console/ticket, in place of a token");
