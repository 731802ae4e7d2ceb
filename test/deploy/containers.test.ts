/** The Containerfiles by a linter, and the images' configuration by the server itself. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { validate } from "dockerfile-utils";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../runtime/core/config.ts";

const FOLDER = join(import.meta.dirname, "../../deploy/containers");
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".Containerfile"));

const lint = (text: string) => validate(text).map(({ message }) => message);

describe.each(files)("%s", (name) => {
  const text = readFileSync(join(FOLDER, name), "utf8");

  test("has nothing to complain about", () => {
    expect(lint(text)).toEqual([]);
  });

  test("with a slip has", () => {
    const slips: [from: RegExp, to: string][] = [
      [/^FROM .*/m, "FORM debian"],
      [/^COPY .*/m, "COPY one"],
      [/^(CMD|ENTRYPOINT) .*/m, "$1 ['bun']"],
      [/$/, "\nCMD a\nCMD b\n"],
    ];
    for (const [from, to] of slips) expect(lint(text.replace(from, to)), to).not.toEqual([]);
  });
});

test("hypersdk.toml is a good configuration: tokens, a proxy, and SSH", () => {
  const config = loadConfig({ HYPERSDK_CONFIG: join(FOLDER, "hypersdk.toml") });
  expect(config.access.tokens).toMatch(/^\/etc\/hypersdk-secrets\//);
  expect(config.access.proxies.length).toBeGreaterThan(0);
  expect(config.hosts[config.default_host]?.uri).toContain("keyfile=/etc/hypersdk-secrets/");
});
