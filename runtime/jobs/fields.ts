/** Fields of calls about jobs, as far as the database can take them. */
import * as z from "zod";
import { isStorable } from "../store/text.ts";

export const Text = z.string().refine(isStorable, "must not contain NUL or half a character");

const isInRange = (text: string) => {
  const year = new Date(text).getUTCFullYear();
  return year >= 1 && year <= 9999;
};

export const Moment = z.iso
  .datetime({ offset: true })
  .refine(isInRange, "must be in the years 1 to 9999, UTC");
