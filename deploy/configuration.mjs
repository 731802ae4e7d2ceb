import { existsSync, readFileSync } from "node:fs";

/** The text of the server's configuration; empty where there is none. */
export function configuration() {
  const file = process.env.HYPERSDK_CONFIG || "hypersdk.toml";
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}
