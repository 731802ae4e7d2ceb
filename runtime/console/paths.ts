/** Where a domain's consoles are found at this server. */
export const KINDS = ["vnc", "serial"] as const;
export type Kind = (typeof KINDS)[number];

/** The path of the page; a WebSocket at the same path is the console itself. */
export const consolePath = (
  kind: Kind | "screenshot",
  name: string,
  more: Record<string, string> = {},
) => `/console/${kind}?${new URLSearchParams({ name, ...more })}`;
