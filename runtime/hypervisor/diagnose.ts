/** Looks for the code of a failure whose message is not recognised. */
import { HyperError } from "../core/errors.ts";
import { checksOf, type Probe } from "./diagnose-checks.ts";
import type { CallOptions, Hypervisor } from "./hypervisor.ts";
import type { Outcome } from "./outcomes.ts";
import type { Arg } from "./text-arguments.ts";

const isUnknown = (outcome: Outcome): outcome is HyperError =>
  outcome instanceof HyperError && outcome.code === "virsh_failed";

/** The outcomes, each failure with a code if one can be found. */
export async function diagnose(
  hypervisor: Hypervisor,
  commands: Arg[][],
  outcomes: Outcome[],
  options: CallOptions,
): Promise<Outcome[]> {
  if (!outcomes.some(isUnknown)) return outcomes;
  return Promise.all(
    outcomes.map(async (outcome, i) => {
      if (!isUnknown(outcome)) return outcome;
      const code = await codeOf(hypervisor, commands[i] ?? [], options).catch(() => undefined);
      if (!code) return outcome;
      const { message, cause, details } = outcome;
      return new HyperError(code, message, { cause, details });
    }),
  );
}

/** Of a word that becomes a file: its text, which bytes have not. */
const textOf = (arg: Exclude<Arg, string | number>) => ("text" in arg ? arg.text : "");

async function codeOf(hypervisor: Hypervisor, command: Arg[], options: CallOptions) {
  const [verb, ...words] = command.map((arg) => (typeof arg === "object" ? textOf(arg) : `${arg}`));
  const probe: Probe = {
    option: (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined),
    text: command.map((arg) => (typeof arg === "object" ? textOf(arg) : "")).join(""),
    ask: async (...read) => {
      const [outcome] = await hypervisor.virsh([read], options);
      return typeof outcome === "string" ? outcome : "";
    },
    file: async (path) => {
      const { stdout } = await hypervisor.exec(["cat", path], { timeout: 5000, ...options });
      return stdout.split("\n");
    },
  };
  for (const check of checksOf(`${verb}`, words.includes("--domain"))) {
    const code = await check(probe);
    if (code) return code;
  }
  return undefined;
}
