/** Evaluates a rule: what was measured becomes its alerts, and messages, in one transaction. */
import type { PoolClient } from "pg";
import { matches } from "../access/glob.ts";
import { settings } from "../core/settings.ts";
import { wakeDelivery } from "../notifications/deliver.ts";
import { type NewMessage, storeMessages } from "../notifications/outbox.ts";
import { transaction } from "../store/database.ts";
import { storable, storableJson } from "../store/text.ts";
import type { Measured, Reading } from "./reading.ts";
import type { Alert, StoredRule } from "./rule.ts";
import { type Step, step } from "./step.ts";
import { messageOf } from "./words.ts";

const keyOf = ({ host, object }: { host: string; object: string }) =>
  JSON.stringify([host, object]);

/** Of a rule that was deleted, disabled or made anew meanwhile nothing is written. */
export async function evaluate({ name, created_at }: StoredRule, measured: Measured) {
  const told = await transaction(async (client) => {
    const locked = await client.query<{ rule: StoredRule; now: Date }>(
      "SELECT row_to_json(alert_rule) AS rule, now() FROM alert_rule WHERE name = $1 AND enabled FOR UPDATE",
      [name],
    );
    const [row] = locked.rows;
    if (!row || row.rule.created_at !== created_at) return 0;
    const { rule, now } = row;
    const found = await client.query<{ alert: Alert }>(
      "SELECT row_to_json(alert) AS alert FROM alert WHERE rule = $1",
      [name],
    );
    const before = new Map(found.rows.map(({ alert }) => [keyOf(alert), alert]));
    const readings = readingsOf(rule, measured);
    const messages: NewMessage[] = [];
    const alerts: Alert[] = [];
    for (const key of new Set([...before.keys(), ...readings.keys()])) {
      const alert = before.get(key);
      const reading = readings.get(key);
      const isUnknown =
        !reading && alert && isConfigured(alert.host) && !measured.complete.includes(alert.host);
      const next: Step = isUnknown ? { alert } : step(rule, alert, reading, now);
      if (next.alert) alerts.push(next.alert);
      if (next.tells) messages.push(messageOf(rule, next, alert, reading));
    }
    await write(client, rule, alerts, [...readings.values()], measured);
    await storeMessages(client, messages);
    return messages.length;
  });
  if (told > 0) wakeDelivery();
}

/** An alert about a hypervisor that has left the configuration ends. */
const isConfigured = (host: string) => host === "" || Object.hasOwn(settings().hosts, host);

function readingsOf(
  { hosts, objects }: StoredRule,
  { readings, heard = [] }: Measured,
): Map<string, Reading> {
  const own = [...readings, ...heard].filter(
    ({ host, object }) =>
      (hosts.length === 0 || host === "" || hosts.includes(host)) &&
      (objects.length === 0 || matches(objects, object)),
  );
  return new Map(own.map((one) => [keyOf(one), one]));
}

async function write(
  client: PoolClient,
  { name, state }: StoredRule,
  alerts: Alert[],
  readings: Reading[],
  { errors, selected }: Measured,
) {
  await client.query("DELETE FROM alert WHERE rule = $1", [name]);
  const insert = `INSERT INTO alert (rule, host, object, state, since, value, detail, told)
    SELECT $1, host, object, state, since, value, detail, told FROM json_populate_recordset(NULL::alert, $2)`;
  const kept = alerts.map((one) => ({ ...one, detail: storable(one.detail) }));
  if (alerts.length > 0) await client.query(insert, [name, JSON.stringify(kept)]);
  const worst = alerts.some((one) => one.state === "firing") ? "firing" : "pending";
  const now = alerts.length === 0 ? "ok" : worst;
  const values = readings.flatMap(({ value }) => value ?? []);
  const highest = values.length > 0 ? values.reduce((a, b) => Math.max(a, b)) : null;
  const error = errors.length > 0 ? storable(errors.join("; ")).slice(0, 2000) : null;
  const update = `UPDATE alert_rule SET state = $2, since = CASE WHEN $3 THEN now() ELSE since END,
    last_value = $4, evaluated_at = now(), error = $5,
    selected = CASE WHEN $6::jsonb IS NULL OR selected = $6 THEN selected ELSE $6 END WHERE name = $1`;
  await client.query(update, [
    ...[name, now, now !== state, highest, error],
    selected ? storableJson(selected) : null,
  ]);
}
