/** Cron expressions: what is wrong with them, and the times that they name. */
import { describe, expect, test } from "vitest";
import { checkTimes, latestTime, timesAfter } from "../../../runtime/jobs/cron.ts";

const problem = (cron_expr: string, timezone = "UTC") =>
  checkTimes({ cron_expr, timezone }).then(
    () => undefined,
    ({ code, message }) => `${code} ${message}`,
  );

test.each([
  ["61 * * * *", /cron_expr: minute "61": got value 61 expected range 0-59/],
  ["0 25 * * *", /cron_expr: hour "25": got value 25 expected range 0-23/],
  ["0 0 32 * *", /cron_expr: day of the month "32"/],
  ["0 0 * 13 *", /cron_expr: month "13": got value 13 expected range 1-12/],
  ["0 0 * * foo", /cron_expr: day of the week "foo"/],
  ["5-1 * * * *", /cron_expr: minute "5-1": Invalid range/],
  ["*/0 * * * *", /cron_expr: minute "\*\/0": cannot repeat at every 0 time/],
  ["H 2 * * *", /cron_expr: minute "H": H is not supported/],
  ["* * *", /cron_expr: must have five fields \(minute, hour, .*\), not 3/],
  ["* * * * * *", /not 6/],
  ["", /not 0/],
  ["@secondly", /cron_expr: must be five fields or one of @hourly/],
  ["0 0 30 2 *", /cron_expr: no such day in these months/],
])("%s is refused with the reason", async (expression, reason) => {
  expect(await problem(expression)).toMatch(reason);
});

test.each(["*/15 * * * *", "30 2 * * MON-FRI", "0 0 L * *", "@daily", "0 0 29 2 *", "0 0 ? * 1#2"])(
  "%s is allowed",
  async (expression) => expect(await problem(expression)).toBeUndefined(),
);

test.each(["Mars/Olympus", "+02:00", "", "local"])("the time zone %j is refused", async (zone) => {
  expect(await problem("* * * * *", zone)).toMatch(/timezone: unknown time zone ".*"; use an IANA/);
});

test.each(["Australia/Lord_Howe", "australia/lhi"])(
  "%s is refused: the parser cannot do it",
  async (zone) => {
    expect(await problem("* * * * *", zone)).toMatch(
      /timezone: .* its clocks change by half an hour/,
    );
  },
);

describe("at the change of the clocks", () => {
  const daily = { cron_expr: "30 2 * * *", timezone: "Europe/Berlin" };
  const days = async (from: string) =>
    (await timesAfter(daily, new Date(from), 3)).map((time) => time.toISOString().slice(5, 16));

  test("an hour that is left out has its time after it", async () => {
    expect(await days("2026-03-27T12:00Z")).toEqual(["03-28T01:30", "03-29T01:30", "03-30T00:30"]);
  });

  test("an hour that comes twice has its time once", async () => {
    expect(await days("2026-10-23T12:00Z")).toEqual(["10-24T00:30", "10-25T00:30", "10-26T01:30"]);
  });

  test("a time that was due is not passed over, though backwards the parser does not find it", async () => {
    const due = new Date("2026-03-29T01:30Z");
    expect(await latestTime(daily, due, new Date("2026-03-29T01:30:01Z"))).toEqual(due);
    const [again] = await timesAfter(daily, new Date("2026-10-25T00:30:01Z"), 1);
    expect(again).toEqual(new Date("2026-10-26T01:30Z"));
  });
});

test("the latest time may be the moment itself; the next one is after it", async () => {
  const hourly = { cron_expr: "@hourly", timezone: "UTC" };
  const noon = new Date("2026-05-01T12:00:00Z");
  const morning = new Date("2026-05-01T08:00:00Z");
  expect(await latestTime(hourly, morning, noon)).toEqual(noon);
  expect(await timesAfter(hourly, noon, 1)).toEqual([new Date("2026-05-01T13:00:00Z")]);
});
