/** The session of a browser: a cookie that its scripts cannot read, and that no other site's page makes it send. */
import type { Context } from "hono";
import { type Caller, describeCaller } from "../access/caller.ts";
import { closeSession, openSession, SESSION_SECONDS, sessionCaller } from "../access/sessions.ts";
import type { Tokens } from "../access/tokens.ts";
import type { Logger } from "../core/log.ts";
import { checkOwnPage } from "./origin.ts";
import type { Arrival, Peer } from "./peer.ts";

/**
 * Over https a browser takes the first name from this very server alone, and sends it by https alone: no other host of
 * the domain, and nobody on the way, can put a session of theirs in its place. Over http, as on loopback, it would not
 * take that name at all.
 */
const COOKIES = ["__Host-hypersdk_session", "hypersdk_session"] as const;
const [SECURE, PLAIN] = COOKIES;

/** What functions that anybody may call do with the browser's session. */
export interface BrowserSession {
  /** Throws `unauthorized` for a token that does not count. */
  begin(token: string): Promise<Caller>;
  end(): void;
}

/** Whether the browser speaks https, to us or to a proxy, which may be one on our Unix socket that is not configured. */
export const isSecure = (c: Context, { server }: Arrival, peer: Peer): boolean =>
  server.protocol === "https" ||
  peer.proxy ||
  c.req.header("Origin")?.startsWith("https:") === true;

/** The cookies of sessions as the browser sends them, with their names: a word counts with the name that it was given. */
function wordsOf(c: Context, isOfTls: boolean): string[] {
  const cookies = (c.req.header("Cookie") ?? "").split(/; */);
  const names = isOfTls ? [SECURE] : COOKIES;
  return names.flatMap((name) => cookies.filter((one) => one.startsWith(`${name}=`)));
}

/** Undefined without a session that lives. Throws `forbidden` for a change that is no page's of ours. */
export function sessionHolder(c: Context, tokens: Tokens, isOfTls: boolean): Caller | undefined {
  for (const word of wordsOf(c, isOfTls)) {
    const caller = sessionCaller(word, tokens);
    if (!caller) continue;
    checkOwnPage(c);
    return caller;
  }
  return undefined;
}

export function browserSession(
  c: Context,
  { log, address }: { log: Logger; address: string },
  authenticateToken: (token: string) => Promise<Caller>,
  isOfTls: boolean,
): BrowserSession {
  const name = isOfTls ? SECURE : PLAIN;
  const send = (word: string, seconds: number) => {
    const rest = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${isOfTls ? "; Secure" : ""}`;
    c.header("Set-Cookie", `${word}; ${rest}`);
  };
  const close = () => {
    for (const word of wordsOf(c, false)) closeSession(word);
  };
  return {
    async begin(token) {
      checkOwnPage(c);
      const caller = await authenticateToken(token);
      close(); // of the one before, if any
      send(openSession(token, name), SESSION_SECONDS);
      log.info({ who: describeCaller(caller), address }, "signed in at the page");
      return caller;
    },
    end() {
      checkOwnPage(c);
      close();
      send(`${name}=`, 0);
    },
  };
}
