/**
 * Addresses that may be connected to. A name's owner decides where it leads, and may change that between a check and the
 * connection: the check is a part of the look-up that the connection itself makes.
 */
import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { isPublic } from "../../core/destination.ts";
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";

/** Finds the addresses of a name, and gives the connection those that it may have. */
export const publicLookup =
  (field: string, lookup: typeof systemLookup = systemLookup): LookupFunction =>
  (name, options, callback) => {
    const fail = (text: string, code: "invalid_input" | "command_failed", cause?: unknown) =>
      callback(new HyperError(code, `${field}: ${text}`, { cause }), "", 0);
    lookup(name, { ...options, all: true }, (error, found) => {
      if (error)
        return fail(`host ${name} has no address (${error.code})`, "command_failed", error);
      const allowed = found.filter(({ address }) => settings().images.private || isPublic(address));
      const [first] = allowed;
      if (!first) {
        const addresses = found.map(({ address }) => address).join(", ");
        const text = `host ${name} has a private address (${addresses}); [images] private = true allows that, or its address in [images] hosts`;
        return fail(text, "invalid_input");
      }
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
