/** The settings without a file. A bundle has them as a constant in place of this module (build/bundle.ts). */
import type { Config } from "./config-schema.ts";

export function defaultSettings(): Config {
  const { Settings } = require("./config-schema.ts") as typeof import("./config-schema.ts");
  // parsed once: to compile the schema would take a start 4 ms more
  return Settings.parse({}, { jitless: true });
}
