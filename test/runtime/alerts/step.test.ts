/** What becomes of an alert with each measurement. */
import { expect, test } from "vitest";
import type { Alert, Rule } from "../../../runtime/alerts/rule.ts";
import { step } from "../../../runtime/alerts/step.ts";

const AT = Date.parse("2026-11-30T12:00:00.000Z");
const at = (seconds: number) => new Date(AT + seconds * 1000);
const rule = (given: Partial<Rule> = {}): Rule => ({
  ...{ name: "full", condition: "storage_usage", threshold: 90, for_seconds: 60, hysteresis: 5 },
  ...{ enabled: true, hosts: [], objects: [], actions: [], metadata: {}, silence_until: null },
  selects: null,
  ...given,
});

/** The measurements of one object, `[second, value]`, undefined where it is gone: the states, and what is told. */
function follow(one: Rule, readings: [number, number | null | undefined][]) {
  let alert: Alert | undefined;
  const told: string[] = [];
  const states = readings.map(([second, value]) => {
    const reading = value === undefined ? undefined : { host: "a", object: "p", value, detail: "" };
    const next = step(one, alert, reading, at(second));
    alert = next.alert;
    if (next.tells) told.push(`${second} ${next.tells}`);
    return alert?.state ?? "ok";
  });
  return { states, told, alert };
}

test("it fires once after its time, and ends once below the hysteresis", () => {
  const { states, told } = follow(rule(), [
    ...([
      [0, 90],
      [10, 91],
      [40, 95],
      [69, 95],
      [70, 95],
      [80, 99],
    ] as [number, number][]),
    ...([
      [90, 89],
      [100, 86],
      [110, 85],
      [120, 85],
    ] as [number, number][]),
  ]);
  const expected = ["ok", "pending", "pending", "pending", "firing", "firing"];
  expect(states).toEqual([...expected, "firing", "firing", "ok", "ok"]);
  expect(told).toEqual(["70 firing", "110 resolved"]);
});

test("one that falls back before its time was never told", () => {
  const { states, told } = follow(rule(), [
    [0, 95],
    [50, 89],
    [60, 95],
    [119, 95],
  ]);
  expect(states).toEqual(["pending", "ok", "pending", "pending"]);
  expect(told).toEqual([]);
});

test("nothing changes while it cannot be measured, and what is gone ends", () => {
  const { states, told } = follow(rule({ for_seconds: 0 }), [
    [0, 95],
    [10, null],
    [20, 95],
    [30, undefined],
  ]);
  expect(states).toEqual(["firing", "firing", "firing", "ok"]);
  expect(told).toEqual(["0 firing", "30 resolved"]);
});

test("a silenced rule tells what still fires afterwards, and no end of what nobody knows", () => {
  const silenced = rule({ for_seconds: 0, silence_until: at(15).toISOString() });
  expect(
    follow(silenced, [
      [0, 95],
      [5, 10],
      [10, 95],
      [16, 95],
      [20, 10],
    ]).told,
  ).toEqual(["16 firing", "20 resolved"]);
});

test("a state fires with 1 and ends with 0; jobs fire with their count", () => {
  const state = rule({
    condition: "domain_crashed",
    threshold: null,
    for_seconds: 0,
    hysteresis: 0,
  });
  expect(
    follow(state, [
      [0, 0],
      [1, 1],
      [2, 0],
    ]).told,
  ).toEqual(["1 firing", "2 resolved"]);
  const threshold = { count: 3, period: 60 };
  const jobs = rule({ condition: "failed_jobs", threshold, for_seconds: 0, hysteresis: 1 });
  expect(
    follow(jobs, [
      [0, 2],
      [1, 3],
      [2, 2],
      [3, 1],
    ]).told,
  ).toEqual(["1 firing", "3 resolved"]);
});

test("an alert has the time since when it is in its state, and the last value", () => {
  const { alert } = follow(rule(), [
    [0, 95],
    [60, 97],
    [70, 98],
  ]);
  expect(alert).toEqual({
    ...{ host: "a", object: "p", state: "firing", since: at(60).toISOString() },
    ...{ value: 98, detail: "", told: true },
  });
});
