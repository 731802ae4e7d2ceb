#!/bin/sh
# A regular expression as an expected property of toMatchObject is compared with a string by its own enumerable keys, of
# which it has none: the assertion passes whatever the text is. toEqual with the same arguments fails, and
# expect.stringMatching compares the text in both. Seen with Vitest 4.1.12 on Node 20.20.2.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . vitest@4.1.12 >/dev/null
cat >match.test.mjs <<'JS'
import { expect, test } from "vitest";
test("object-other", () => expect({ text: "abc" }).toMatchObject({ text: /xyz/ }));
test("object-matching", () => expect({ text: "abc" }).toMatchObject({ text: expect.stringMatching(/xyz/) }));
test("equal-other", () => expect({ text: "abc" }).toEqual({ text: /xyz/ }));
JS
node_modules/.bin/vitest run --reporter=json --outputFile=out.json >/dev/null 2>&1 || true
node -e '
const { testResults: [{ assertionResults }] } = JSON.parse(require("fs").readFileSync("out.json", "utf8"));
const seen = assertionResults.map(({ title, status }) => `${title}: ${status}`).join(", ");
console.log(seen);
process.exit(seen === "object-other: passed, object-matching: failed, equal-other: failed" ? 0 : 1);'
