/** What is done with one domain, each with the words that tell how it went. */
import { act } from "../state/act.ts";
import { call } from "../state/client.ts";

/** A domain of the fleet. */
export interface Of {
  host: string;
  name: string;
}

export const domainKey = ({ host, name }: Of) => `domain ${host}/${name}`;

type Simple =
  | "POST /libvirt/domain/start"
  | "POST /libvirt/domain/shutdown"
  | "POST /libvirt/domain/destroy"
  | "POST /libvirt/domain/reboot"
  | "POST /libvirt/domain/pause"
  | "POST /libvirt/domain/resume";

const simple = (endpoint: Simple, done: (name: string) => string) => (of: Of) =>
  act(domainKey(of), () => call(endpoint, { name: of.name }, { host: of.host }), done(of.name));

export const start = simple("POST /libvirt/domain/start", (name) => `${name} is started`);
export const shutDown = simple(
  "POST /libvirt/domain/shutdown",
  (name) => `The guest of ${name} was asked to shut down`,
);
export const switchOff = simple(
  "POST /libvirt/domain/destroy",
  (name) => `${name} is switched off`,
);
export const reboot = simple(
  "POST /libvirt/domain/reboot",
  (name) => `The guest of ${name} was asked to reboot`,
);
export const pause = simple("POST /libvirt/domain/pause", (name) => `${name} is paused`);
export const resume = simple("POST /libvirt/domain/resume", (name) => `${name} goes on`);
