/** What `[notifications]` allows, and whose certificates count. */
import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import type { Allowed } from "../core/destination.ts";
import { settings } from "../core/settings.ts";

export const allowed = (): Allowed => ({ section: "notifications", ...settings().notifications });

/** Undefined for the well-known authorities. Read each time, so that a new file needs no restart. */
export function authorities(): string[] | undefined {
  const { ca } = settings().notifications;
  return ca ? [...rootCertificates, readFileSync(ca, "utf8")] : undefined;
}
