/** Where a domain's screens and serial consoles are, from its definition. */
import * as z from "zod";
import { attribute, children, type Element } from "../xml.ts";

export const Graphics = z.object({
  type: z.string().describe("vnc, spice …"),
  listen: z.string().nullable().describe("address on the hypervisor"),
  port: z.int().nullable(),
  tls_port: z.int().nullable(),
  websocket: z.int().nullable(),
  socket: z.string().nullable(),
});

export const TextConsole = z.object({
  type: z.string().describe("pty, unix, tcp …"),
  target: z.string().nullable().describe("serial, virtio …"),
  path: z.string().nullable().describe("device or socket on the hypervisor"),
});

export function readGraphics(domain: Element): z.output<typeof Graphics>[] {
  return children(domain, "devices", "graphics").map((graphics) => ({
    type: `${graphics["@type"]}`,
    listen: attribute(graphics, "listen") ?? attribute(graphics, "address", "listen") ?? null,
    port: portOf(graphics, "port"),
    tls_port: portOf(graphics, "tlsPort"),
    websocket: portOf(graphics, "websocket"),
    socket: attribute(graphics, "socket") ?? attribute(graphics, "socket", "listen") ?? null,
  }));
}

/** A port that libvirt has not assigned is -1. */
function portOf(graphics: Element, name: string): number | null {
  const port = Number(attribute(graphics, name));
  return port > 0 ? port : null;
}

export function readTextConsoles(domain: Element): z.output<typeof TextConsole>[] {
  return children(domain, "devices", "console").map((console) => ({
    type: `${console["@type"]}`,
    target: attribute(console, "type", "target") ?? null,
    path: attribute(console, "path", "source") ?? null,
  }));
}
