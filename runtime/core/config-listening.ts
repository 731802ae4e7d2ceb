/** The settings that the environment may give, too. */
import * as z from "zod";

const socket = z
  .string()
  .regex(/^unix:\/[^\0]+$/, "must be a Unix socket such as unix:/run/hypersdk.sock");

/** The address to listen on, or a Unix socket in its place. The environment may set these, too. */
export const LISTENING = {
  host: z.string().min(1),
  port: z.coerce.number("must be a number, 0 to 65535").int().min(0).max(65535),
  listen: socket,
};
