/** Modules of WebSockets, in the place of which a bundle without a console has ones that do nothing. */

const nothing = (...exported: string[]) =>
  exported.map((name) => `export const ${name} = undefined;`).join(" ");

/** By their paths in `runtime/`. */
export const WITHOUT_CONSOLES: Record<string, string> = {
  "server/sockets.ts": nothing("sockets"),
  "http/ticket-holder.ts": "export const ticketHolder = async () => undefined;",
  "http/socket.ts": `export const isUpgrade = () => false; ${nothing("checkSocket", "upgraded", "closedAtOnce")}`,
  "hypervisor/streams.ts": nothing("openLocalStream", "nameTarget"),
  "hypervisor/terminal.ts": nothing("openLocalTerminal"),
  "hypervisor/ssh/streams.ts": nothing("openRemoteStream"),
  "hypervisor/ssh/terminal.ts": nothing("RemoteTerminals"),
};
