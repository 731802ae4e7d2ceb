/** The description of a metric, and tables of them. */

export interface Metric {
  type: "counter" | "gauge";
  labels: string[];
  help: string;
}

/** Metrics with the same labels, by name, each with its help text. */
const table =
  (type: Metric["type"]) =>
  <N extends string>(labels: string, help: Record<N, string>): Record<N, Metric> => {
    const of = (text: string) => ({ type, labels: labels.split(" ").filter(Boolean), help: text });
    const entries = Object.entries<string>(help).map(([name, text]) => [name, of(text)]);
    return Object.fromEntries(entries);
  };
export const gauges = table("gauge");
export const counters = table("counter");
