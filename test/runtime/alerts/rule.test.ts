/** Durations of rules. */
import { expect, test } from "vitest";
import { Duration } from "../../../runtime/alerts/rule.ts";

test.each([
  [0, 0],
  [1.5, 1.5],
  ["90s", 90],
  ["5m", 300],
  ["1h30m", 5400],
  ["2d", 172_800],
])("%j is %d s", (given, seconds) => expect(Duration.parse(given)).toBe(seconds));

test.each([-1, "5", "m", "5 m", "-5m", "31d", "", null])("%j is refused", (given) => {
  expect(Duration.safeParse(given).success).toBe(false);
});
