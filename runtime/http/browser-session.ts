/** The session of a browser: a cookie that its scripts cannot read, and that no other site's page makes it send. */
import type { Context } from "hono";
import { type Caller, describeCaller } from "../access/caller.ts";
import { closeSession, openSession, SESSION_SECONDS, sessionCaller } from "../access/sessions.ts";
import type { Tokens } from "../access/tokens.ts";
import type { Logger } from "../core/log.ts";
import { checkOwnPage } from "./origin.ts";

const COOKIE = "hypersdk_session";

/** What functions that anybody may call do with the browser's session. */
export interface BrowserSession {
  /** Throws `unauthorized` for a token that does not count. */
  begin(token: string): Promise<Caller>;
  end(): void;
}

const wordOf = (c: Context): string | undefined =>
  new RegExp(`(?:^|; *)${COOKIE}=([\\w-]{43})(?:;|$)`).exec(c.req.header("Cookie") ?? "")?.[1];

/** Undefined without a session that lives. Throws `forbidden` for a change that is no page's of ours. */
export function sessionHolder(c: Context, tokens: Tokens): Caller | undefined {
  const word = wordOf(c);
  const caller = word === undefined ? undefined : sessionCaller(word, tokens);
  if (caller) checkOwnPage(c);
  return caller;
}

export function browserSession(
  c: Context,
  { log, address }: { log: Logger; address: string },
  authenticateToken: (token: string) => Promise<Caller>,
  isSecure: boolean,
): BrowserSession {
  const send = (word: string, seconds: number) => {
    const rest = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${isSecure ? "; Secure" : ""}`;
    c.header("Set-Cookie", `${COOKIE}=${word}; ${rest}`);
  };
  const close = () => {
    const word = wordOf(c);
    if (word !== undefined) closeSession(word);
  };
  return {
    async begin(token) {
      checkOwnPage(c);
      const caller = await authenticateToken(token);
      close(); // of the one before, if any
      send(openSession(token), SESSION_SECONDS);
      log.info({ who: describeCaller(caller), address }, "signed in at the page");
      return caller;
    },
    end() {
      checkOwnPage(c);
      close();
      send("", 0);
    },
  };
}
