/** A WebSocket to a VNC display: bytes between both, no faster than the slower of them takes them. */
import type { Duplex } from "node:stream";
import { HyperError } from "../core/errors.ts";
import { plural } from "../core/plural.ts";
import { CLOSED, type SocketEnd, type Viewer } from "../core/socket.ts";
import type { Context } from "../hypervisor/context.ts";
import { readDefinition } from "../libvirt/definitions.ts";
import { domainRef } from "../libvirt/domain/domain.ts";
import { parseXml, textOf } from "../libvirt/xml.ts";
import { displays } from "./devices.ts";
import { watchStop } from "./stopped.ts";
import { viewOnly } from "./view-only.ts";

const CONNECT_MS = 5000;
/** Bytes of the caller's that QEMU has not taken. */
const MAX_UNWRITTEN = 2 ** 20;
/** A viewer who takes nothing for so long is cut off. */
const STALL_MS = 30_000;

interface Wanted {
  name: string;
  /** Which of the domain's displays, in the order of its definition. */
  screen?: number | undefined;
  view: boolean;
}

/** Resolves once QEMU has taken the connection. */
export async function connectDisplay(ctx: Context, wanted: Wanted): Promise<SocketEnd> {
  const { name, target } = await displayOf(ctx, wanted);
  const stream = await ctx.openStream(target, { timeout: CONNECT_MS, signal: ctx.signal });
  const stopped = watchStop(ctx.host, name, ctx.signal);
  return relay(stream, wanted.view ? viewOnly() : undefined, stopped);
}

/** Where the display listens, and the domain's name, which may be given as a UUID. Throws `not_active`, `not_found`, and `unsupported` for one that is not VNC. */
export async function displayOf(ctx: Context, { name, screen: given }: Omit<Wanted, "view">) {
  const ref = await domainRef(ctx, name);
  const [state, { text }] = await Promise.all([
    ctx.virsh(["domstate", "--domain", ref]),
    readDefinition(ctx, ref),
  ]);
  if (state.trim() === "shut off")
    throw new HyperError("not_active", `domain ${name} is not running`);
  const domain = parseXml(text, "domain");
  const all = displays(domain);
  const screen =
    given ??
    Math.max(
      0,
      all.findIndex(({ type }) => type === "vnc"),
    );
  const display = all[screen];
  if (!display) {
    const has = all.length === 0 ? "no screen" : `${plural(all.length, "screen")}, the first is 0`;
    throw new HyperError("not_found", `screen: domain ${name} has ${has}`);
  }
  if (display.type !== "vnc") {
    const text = `screen ${screen} of domain ${name} is ${display.type}; only vnc can be shown here`;
    throw new HyperError("unsupported", text);
  }
  if (!display.target)
    throw new HyperError("unsupported", `screen ${screen} of ${name} does not listen`);
  return { name: textOf(domain, "name") ?? name, target: display.target };
}

/** What passes of the caller's bytes. Throws what ends the connection. */
export type Filter = (bytes: Uint8Array) => Uint8Array;

/** `why` tells why the display has closed. */
export function relay(
  stream: Duplex,
  filter: Filter = (bytes) => bytes,
  why?: () => Promise<string | undefined>,
): SocketEnd {
  let viewer: Viewer | undefined;
  let stalled: NodeJS.Timeout | undefined;
  const go = () => {
    clearTimeout(stalled);
    stream.resume();
  };
  stream.on("error", () => {}); // `close` reports it
  stream.pause();
  return {
    open(caller) {
      viewer = caller;
      stream.on("data", (bytes: Buffer) => {
        if (caller.send(bytes)) return;
        stream.pause();
        stalled = setTimeout(
          () =>
            caller.close(
              CLOSED.tooSlow,
              `nothing was taken for ${STALL_MS / 1000} s; connect again`,
            ),
          STALL_MS,
        );
      });
      const close = (reason = "the display has closed") => caller.close(CLOSED.done, reason);
      const over = () => (why ? void why().then(close) : close());
      stream.once("end", over).once("close", over);
      if (stream.destroyed) over();
      else stream.resume();
    },
    message(data) {
      if (typeof data === "string") return; // VNC has none
      try {
        const bytes = filter(data);
        if (bytes.length > 0) stream.write(bytes);
      } catch (error) {
        viewer?.close(CLOSED.forbidden, (error as Error).message);
      }
      if (stream.writableLength > MAX_UNWRITTEN)
        viewer?.close(CLOSED.tooSlow, "the guest takes nothing; connect again");
    },
    drain: go,
    close() {
      clearTimeout(stalled);
      stream.destroy();
    },
  };
}
