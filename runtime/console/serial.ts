/** WebSockets to serial consoles: those of one device share one session. */
import { HyperError } from "../core/errors.ts";
import type { SocketEnd } from "../core/socket.ts";
import type { Context } from "../hypervisor/context.ts";
import { readDefinition } from "../libvirt/definitions.ts";
import { domainRef, nameIn } from "../libvirt/domain/domain.ts";
import { keyValues } from "../libvirt/virsh-output.ts";
import { parseXml } from "../libvirt/xml.ts";
import type { Backlog } from "./backlog.ts";
import { isInteractive, serialDevices } from "./devices.ts";
import { SerialSession, type SerialTarget } from "./serial-session.ts";

interface Wanted {
  name: string;
  /** @default the first that can be opened */
  device?: string | undefined;
  view: boolean;
  /** Takes over from who types now, here or elsewhere. */
  force: boolean;
}

/** By hypervisor, domain and device. */
const sessions = new Map<string, SerialSession>();

/** Throws `in_use` where somebody types already, and `force` is not asked for. */
export async function connectSerial(ctx: Context, wanted: Wanted): Promise<SocketEnd> {
  const { view, force, name } = wanted;
  const { uuid, ...target } = await serialTarget(ctx, wanted);
  const key = [ctx.host, ctx.uri, uuid, target.device].join(" ");
  // one whose last viewer has left still has the console
  for (let old = sessions.get(key); old?.isEnding; old = sessions.get(key)) await old.over;
  const session = sessions.get(key) ?? begin(ctx, key, { ...target, force: force && !view });
  if (!view && !force && session.isTyped) {
    const text = `somebody types into ${target.device} of domain ${name} already; view watches, force takes over`;
    throw new HyperError("in_use", text);
  }
  const place = session.hold(!view);
  ctx.signal.addEventListener("abort", place.leave, { once: true });
  try {
    await session.opened;
  } catch (error) {
    place.leave();
    throw error;
  }
  return endOf(session, !view, place);
}

function begin(ctx: Context, key: string, target: SerialTarget): SerialSession {
  const session = new SerialSession(target);
  const { promise, resolve } = Promise.withResolvers<void>();
  session.over = promise;
  session.onEnd = () => {
    if (sessions.get(key) === session) sessions.delete(key);
    resolve();
  };
  sessions.set(key, session);
  session.opened = session.open(ctx);
  session.opened.catch(() => {
    session.onEnd();
    session.end();
  });
  return session;
}

function endOf(
  session: SerialSession,
  types: boolean,
  place: ReturnType<SerialSession["hold"]>,
): SocketEnd {
  let backlog: Backlog | undefined;
  return {
    open(viewer) {
      place.arrived();
      backlog = session.add(viewer, types);
    },
    message(data) {
      if (!backlog) return;
      if (typeof data !== "string") return session.write(backlog, data);
      const note = readNote(data);
      if (note?.type === "ping") backlog.viewer.send(JSON.stringify({ type: "pong" }));
      else if (note) session.resize(backlog, note.columns, note.rows);
    },
    drain() {
      if (backlog) session.drain(backlog);
    },
    close() {
      if (backlog) session.remove(backlog);
      place.leave();
    },
  };
}

type Note = { type: "ping" } | { type: "resize"; columns: number; rows: number };

/** `{ "type": "resize", "columns": 80, "rows": 24 }` or `{ "type": "ping" }`; other texts are ignored. */
function readNote(text: string): Note | undefined {
  try {
    const { type, columns, rows } = JSON.parse(text);
    if (type === "ping") return { type };
    const fits = [columns, rows].every((one) => Number.isInteger(one) && one > 0 && one <= 1000);
    return type === "resize" && fits ? { type, columns, rows } : undefined;
  } catch {
    return undefined;
  }
}

/** Throws `not_active`, `not_found`, and `unsupported` for a device that virsh cannot open. */
export async function serialTarget(
  ctx: Context,
  { name, device }: Pick<Wanted, "name" | "device">,
) {
  const ref = await domainRef(ctx, name);
  const [dominfo = "", { text }] = await Promise.all([
    ctx.virsh(["dominfo", "--domain", ref]),
    readDefinition(ctx, ref),
  ]);
  const { State, UUID: uuid = ref } = keyValues(dominfo);
  if (State === "shut off") throw new HyperError("not_active", `domain ${name} is not running`);
  const all = serialDevices(parseXml(text, "domain"));
  const found =
    device === undefined
      ? (all.find(isInteractive) ?? all[0])
      : all.find((one) => one.device === device);
  if (!found) {
    const has = all.map((one) => one.device).join(", ") || "none";
    throw new HyperError(
      "not_found",
      `device: domain ${name} has no such serial console; it has ${has}`,
    );
  }
  if (!isInteractive(found)) {
    const text = `device: ${found.device} of domain ${name} is of type ${found.type}; only pty and unix can be opened`;
    throw new HyperError("unsupported", text);
  }
  // its events are told by its name, where the caller may have given its UUID
  return { name: nameIn(dominfo) ?? name, ref, uuid, device: found.device, log: found.log };
}
