/** How virsh words what follows a domain's name in each event, and what that says. Names are printed as they are. */
import type * as z from "zod";
import type { DomainEvent } from "../../events/fleet-event.ts";

type Fields = Partial<Omit<z.output<typeof DomainEvent>, "kind" | "host" | "object">>;

export interface Grammar {
  /** What follows the quote after the name, in the first line. */
  rest: RegExp;
  /** Lines follow. */
  more?: boolean;
  /** It holds a path or another free text, which could look like a name's end. */
  free?: boolean;
  fields?: (found: Record<string, string>, lines: string[]) => Fields;
}

const lower = (text = "") => text.toLowerCase();
const number = (text?: string) => (/^-?\d+$/.test(text ?? "") ? Number(text) : undefined);
const acted = ({ action, reason }: Record<string, string>): Fields => ({
  ...(action !== undefined && { action: lower(action) }),
  ...(reason !== undefined && { reason: lower(reason) }),
});
const device = ({ device }: Record<string, string>): Fields => ({ device: `${device}` });

/** `name: value` lines, with a tab before them or not; a line without a value is a heading. */
export function pairs(lines: string[], separator = ": "): Record<string, string> {
  const found = lines.map((line) => line.replace(/^\t/, "")).filter((l) => l.includes(separator));
  return Object.fromEntries(
    found.map((line) => {
      const at = line.indexOf(separator);
      return [line.slice(0, at), line.slice(at + separator.length)];
    }),
  );
}

/** As virsh prints a text that is not there. */
const NULL = "<null>";
const nothing: Grammar = { rest: /^$/ };
const aDevice: Grammar = { rest: /^: (?<device>[^':]+)$/, fields: device };
const parameters: Grammar = {
  rest: /^:$/,
  more: true,
  fields: (_, lines) => ({ parameters: pairs(lines) }),
};
const ADDRESS = (name: string) =>
  `${name}\\[(?<${name}_family>\\S*) (?<${name}_node>[^\\]]*) (?<${name}_service>[^\\] ]*)\\]`;
const addressOf = (found: Record<string, string>, name: string) => ({
  family: `${found[`${name}_family`]}`,
  node: `${found[`${name}_node`]}`,
  service: `${found[`${name}_service`]}`,
});
const error = (found: Record<string, string>): Fields => ({
  path: `${found.path}`,
  ...device(found),
  ...acted(found),
});
const blockJob: Grammar = {
  rest: /^: (?<job>[\w ]+?) for (?<path>.*) (?<action>\w+)$/s,
  free: true,
  fields: (found) => ({ job: `${found.job}`, path: `${found.path}`, ...acted(found) }),
};

/** The 27 of libvirt 9.0, and those that later ones have added. Whoever is not here is passed on as it is. */
export const GRAMMARS: Record<string, Grammar> = {
  lifecycle: { rest: /^: (?<action>\w+)(?: (?<reason>[^']+))?$/, fields: acted },
  reboot: nothing,
  "rtc-change": {
    rest: /^: (?<offset>-?\d+)$/,
    fields: ({ offset }) => ({ offset_seconds: number(offset) }),
  },
  watchdog: { rest: /^: (?<action>[\w-]+)$/, fields: acted },
  "io-error": {
    rest: /^: (?<path>.*) \((?<device>[^()]*)\) (?<action>\w+)(?: due to (?<reason>.*))?$/s,
    free: true,
    fields: error,
  },
  "io-error-reason": {
    rest: /^: (?<path>.*) \((?<device>[^()]*)\) (?<action>\w+) due to (?<reason>.*)$/s,
    free: true,
    fields: error,
  },
  graphics: {
    rest: new RegExp(`^: (?<action>\\w+) ${ADDRESS("local")} ${ADDRESS("remote")} (?<auth>\\S*)$`),
    more: true,
    fields: (found, lines) => ({
      ...acted(found),
      local: addressOf(found, "local"),
      remote: addressOf(found, "remote"),
      auth: `${found.auth}`,
      parameters: pairs(lines, "="),
    }),
  },
  "control-error": nothing,
  "block-job": blockJob,
  "block-job-2": blockJob,
  "disk-change": {
    rest: /^ disk (?<device>\S+): (?<before>.*) -> (?<after>.*): (?<action>\w+)$/s,
    free: true,
    fields: (found) => ({
      ...device(found),
      ...(found.before !== NULL && { old_path: `${found.before}` }),
      ...(found.after !== NULL && { new_path: `${found.after}` }),
      ...acted(found),
    }),
  },
  "tray-change": {
    rest: /^ disk (?<device>[^':]+): (?<action>\w+)$/,
    fields: (found) => ({ ...device(found), ...acted(found) }),
  },
  "pm-wakeup": nothing,
  "pm-suspend": nothing,
  "pm-suspend-disk": nothing,
  "balloon-change": {
    rest: /^: (?<memory>\d+)KiB$/,
    fields: ({ memory }) => ({ memory_kib: number(memory) }),
  },
  "device-added": aDevice,
  "device-removed": aDevice,
  "device-removal-failed": aDevice,
  tunable: parameters,
  "job-completed": parameters,
  "agent-lifecycle": {
    rest: /^: state: '(?<action>[^':]*)' reason: '(?<reason>[^':]*)'$/,
    fields: acted,
  },
  "migration-iteration": {
    rest: /^: iteration: '(?<iteration>\d+)'$/,
    fields: ({ iteration }) => ({ iteration: number(iteration) }),
  },
  "metadata-change": {
    rest: /^: type (?<field>[\w ]+), uri (?<uri>.*)$/s,
    free: true,
    fields: ({ field, uri }) => ({ field: `${field}`, ...(uri !== NULL && { uri: `${uri}` }) }),
  },
  "block-threshold": {
    rest: /^: dev: (?<device>[^(]+)\((?<path>.*)\) (?<threshold>\d+) (?<excess>\d+)$/s,
    free: true,
    fields: (found) => ({
      ...device(found),
      path: `${found.path}`,
      threshold_bytes: number(found.threshold),
      excess_bytes: number(found.excess),
    }),
  },
  "memory-failure": {
    rest: /^:$/,
    more: true,
    fields: (_, lines) => {
      const { recipient = "", action = "", ...flags } = pairs(lines);
      return { recipient, action, parameters: flags };
    },
  },
  "memory-device-size-change": {
    rest: /^:$/,
    more: true,
    fields: (_, lines) => {
      const { alias = "", size } = pairs(lines);
      return { device: alias, size_kib: number(size) };
    },
  },
  "nic-mac-change": {
    rest: /^:$/,
    more: true,
    fields: (_, lines) => {
      const { alias = "", oldMAC = "", newMAC = "" } = pairs(lines);
      return { device: alias, old_mac: oldMAC, new_mac: newMAC };
    },
  },
  "vcpu-removed": {
    rest: /^: vcpu (?<vcpu>\d+)$/,
    fields: ({ vcpu }) => ({ vcpu: number(vcpu) }),
  },
  "channel-lifecycle": {
    rest: /^: channel name: '(?<channel>.*)' state: '(?<action>[^':]*)' reason: '(?<reason>[^':]*)'$/s,
    free: true,
    fields: (found) => ({ channel: `${found.channel}`, ...acted(found) }),
  },
};
