import { expect, test } from "vitest";
import { plural } from "../../../runtime/core/plural.ts";

test.each([
  [0, "0 domains"],
  [1, "1 domain"],
  [2, "2 domains"],
])("%i", (count, text) => {
  expect(plural(count, "domain")).toBe(text);
});
