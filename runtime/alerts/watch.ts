/** Evaluates all rules, as long as there are any, in one process of those on a database. */
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { pause } from "../store/leader.ts";
import { evaluate } from "./evaluate.ts";
import { HEARD, Hearing } from "./hear.ts";
import { type Known, measure } from "./measure.ts";
import type { Reading } from "./reading.ts";
import type { StoredRule } from "./rule.ts";
import { forgetSelections, type Inventories, limitToSelected, selectCrashes } from "./selection.ts";
import { listRules } from "./store.ts";

/** A rule that another process has made, and one that was changed, is seen then. */
const LOOK_MS = 1000;
/** Of many events at once the first is looked at now, and the others together. */
const GATHER_MS = 200;

export async function watchRules(signal: AbortSignal) {
  const next = new Map<string, number>();
  let hearing: Hearing | undefined;
  while (!signal.aborted) {
    const early = new AbortController();
    const looks = AbortSignal.any([signal, early.signal]);
    try {
      const rules = (await listRules()).filter(({ enabled }) => enabled);
      const isHeard = rules.some(({ condition }) => HEARD.includes(condition));
      if (!isHeard) hearing = void hearing?.end();
      else hearing ??= new Hearing(() => wake());
      wake = () => early.abort();
      await look(rules, next, hearing);
      if ((hearing?.due.size ?? 0) > 0) early.abort();
    } catch (error) {
      log.debug({ cause: error }, "alert rules wait for the database");
    }
    await pause(GATHER_MS, signal);
    await pause(LOOK_MS, looks);
  }
  hearing?.end();
}

let wake = () => {};

/** Rules that are being measured, each with the crashes that are heard meanwhile, until it is written. */
const working = new Map<string, Reading[]>();

/** A hypervisor that hangs holds up what is measured on it, and no crash of another's domain. */
async function look(rules: StoredRule[], next: Map<string, number>, hearing?: Hearing) {
  for (const name of next.keys()) if (!rules.some((rule) => rule.name === name)) next.delete(name);
  forgetSelections(rules);
  const heard = new Set(hearing?.due);
  hearing?.due.clear();
  const crashes = hearing?.crashes.splice(0) ?? [];
  if (crashes.length > 0) {
    await tellCrashes(rules, crashes).catch((error) => {
      hearing?.crashes.unshift(...crashes);
      throw error;
    });
  }
  for (const { name, condition } of rules) if (heard.has(condition)) next.set(name, 0);
  const now = performance.now();
  const due = rules.filter(({ name }) => !working.has(name) && now >= (next.get(name) ?? 0));
  for (const { name } of due) next.set(name, now + settings().alerts.period * 1000);
  void evaluateAll(due, crashes);
}

/** At once, whatever is still being measured. */
async function tellCrashes(rules: StoredRule[], crashes: Reading[]) {
  const own = rules.filter(({ condition }) => condition === "domain_crashed");
  await Promise.all(
    own.map(async (rule) => {
      const readings = await selectCrashes(rule, crashes);
      working.get(rule.name)?.push(...readings); // what was measured before is older than these
      await evaluate(rule, { readings, complete: [], errors: [] });
    }),
  );
}

/** A rule that cannot be evaluated holds up no other. */
async function evaluateAll(rules: StoredRule[], crashes: Reading[]) {
  const known: Known = new Map();
  const inventories: Inventories = new Map();
  const outcomes = await Promise.allSettled(
    rules.map(async (rule) => {
      const heard: Reading[] = [];
      working.set(rule.name, heard);
      try {
        const measured = await measure(rule, known);
        if (rule.condition === "domain_crashed") measured.readings.push(...crashes);
        await evaluate(rule, { ...(await limitToSelected(rule, measured, inventories)), heard });
      } finally {
        working.delete(rule.name);
      }
    }),
  );
  outcomes.forEach((outcome, i) => {
    if (outcome.status === "fulfilled") return;
    const name = rules[i]?.name;
    log.warn({ error: outcome.reason, rule: name }, `alert rule ${name} could not be evaluated`);
  });
}
