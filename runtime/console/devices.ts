/** What a person can look at and type into: the screens and the serial consoles of a domain, from its definition. */
import * as z from "zod";
import type { StreamTarget } from "../hypervisor/transport.ts";
import { readGraphics } from "../libvirt/domain/console.ts";
import { attribute, children, type Element } from "../libvirt/xml.ts";

export const SerialDevice = z.object({
  device: z.string().describe("its name for `device`, such as serial0"),
  type: z.string().describe("pty, unix, tcp, file …"),
  target: z.string().nullable().describe("isa-serial, virtio …"),
  path: z.string().nullable().describe("device or socket on the hypervisor"),
  log: z.string().nullable().describe("file on the hypervisor that has what the guest wrote"),
});
export type SerialDevice = z.output<typeof SerialDevice>;

/** The first is the one that libvirt opens unless another is named. A console may be a serial port by another name. */
export function serialDevices(domain: Element): SerialDevice[] {
  const all = ["console", "serial"].flatMap((kind) =>
    children(domain, "devices", kind).map((one, i) => ({
      device: attribute(one, "name", "alias") ?? nameOf(one, kind, i),
      type: `${one["@type"]}`,
      target: attribute(one, "type", "target") ?? null,
      path: attribute(one, "path", "source") ?? null,
      log: attribute(one, "file", "log") ?? null,
    })),
  );
  return all.filter((one, i) => all.findIndex(({ device }) => device === one.device) === i);
}

/** The alias that libvirt will give it. */
const nameOf = (one: Element, kind: string, i: number) =>
  kind === "console" && attribute(one, "type", "target") === "serial" ? "serial0" : `${kind}${i}`;

/** Whether virsh can open it. */
export const isInteractive = ({ type }: SerialDevice) => type === "pty" || type === "unix";

export interface Display {
  type: string;
  /** Undefined while it has none: before libvirt has assigned its port. */
  target: StreamTarget | undefined;
}

/** In the order of the definition. */
export function displays(domain: Element): Display[] {
  return readGraphics(domain).map(({ type, listen, port, socket }) => ({
    type,
    target: socket ? { path: socket } : port ? { host: reachable(listen), port } : undefined,
  }));
}

/** The address, on the hypervisor itself, of what listens there. */
function reachable(listen: string | null): string {
  if (listen === null || listen === "0.0.0.0") return "127.0.0.1";
  return listen === "::" ? "::1" : listen;
}
