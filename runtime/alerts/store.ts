/** Alert rules in the database, and what is done with them by name. */
import { HyperError } from "../core/errors.ts";
import { observer } from "../events/bus.ts";
import type { Selected } from "../http/selection.ts";
import { query } from "../store/database.ts";
import { storableJson } from "../store/text.ts";
import type { Alert, Rule, StoredRule } from "./rule.ts";

export type RuleWithAlerts = StoredRule & { alerts: Alert[] };

const READ = `SELECT row_to_json(alert_rule) AS rule, coalesce((
    SELECT json_agg(alert ORDER BY host, object) FROM alert WHERE alert.rule = alert_rule.name
  ), '[]') AS alerts FROM alert_rule WHERE ($1::text IS NULL OR name = $1) ORDER BY name`;

export async function listRules(name?: string): Promise<RuleWithAlerts[]> {
  const { rows } = await query<{ rule: StoredRule; alerts: Alert[] }>(READ, [name]);
  return rows.map(({ rule, alerts }) => ({ ...rule, alerts }));
}

/** Throws `not_found`. */
export async function readRule(name: string): Promise<RuleWithAlerts> {
  const [rule] = await listRules(name);
  if (rule) return rule;
  throw new HyperError("not_found", `name: no alert rule ${JSON.stringify(name)}`);
}

const INSERT = `INSERT INTO alert_rule (name, condition, threshold, for_seconds, hysteresis, enabled, hosts, objects,
    actions, metadata, silence_until, created_by, selects, selected)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING RETURNING name`;

/** Throws `already_exists`. */
export async function createRule(rule: Rule, who: string, selected: Selected | null) {
  const { name, condition, threshold, for_seconds, hysteresis, enabled, hosts, objects } = rule;
  const { actions, metadata, silence_until, selects } = rule;
  const { rows } = await query(INSERT, [
    ...[name, condition, JSON.stringify(threshold), for_seconds, hysteresis, enabled],
    ...[hosts, objects, actions, storableJson(metadata), silence_until, who],
    ...[selects, selected && storableJson(selected)],
  ]);
  if (rows.length === 0) {
    throw new HyperError("already_exists", `name: there is an alert rule ${JSON.stringify(name)}`);
  }
  observer.submitted?.(); // a worker evaluates it
}

/** Nobody is told of an end of what it fires about. */
export async function deleteRule({ name }: RuleWithAlerts) {
  await query("DELETE FROM alert_rule WHERE name = $1", [name]);
}

/** A rule that is disabled is about nothing. */
export async function changeRule(
  { name, enabled, silence_until }: RuleWithAlerts,
  wanted: Partial<Pick<Rule, "enabled" | "silence_until">>,
) {
  const next = { enabled, silence_until, ...wanted };
  const change = `UPDATE alert_rule SET enabled = $2, silence_until = $3,
    state = CASE WHEN $2 THEN state ELSE 'ok' END, since = CASE WHEN $2 = enabled THEN since ELSE now() END
    WHERE name = $1`;
  await query(change, [name, next.enabled, next.silence_until]);
  if (!next.enabled) await query("DELETE FROM alert WHERE rule = $1", [name]);
  else observer.submitted?.();
}
