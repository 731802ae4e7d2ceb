/** Who makes a request: the holder of its token, or, where none is asked for, a user of this machine. */
import type { Context } from "hono";
import { type Caller, everything } from "../access/caller.ts";
import { lookUpUser, type User } from "../access/local-users.ts";
import { expired, hashOf, readTokens, type Tokens, tokenFile } from "../access/tokens.ts";
import type { Config } from "../core/config.ts";
import { HyperError } from "../core/errors.ts";
import { isSecure, sessionHolder } from "./browser-session.ts";
import { checkHostHeader } from "./origin.ts";
import { type Arrival, type Peer, peerUser } from "./peer.ts";

/**
 * Token  Loopback or socket  Token needed   Answer
 * good   any                 any            its holder
 * bad    any                 any            401
 * none   socket              no             the socket's, whose permissions decide
 * none   loopback            no             the user: own, root, member of the group; else 403
 * none   any                 yes            401
 *
 * A browser's session stands for the token that it was begun with; one that is over is none.
 */
export async function authenticate(
  c: Context,
  access: Config["access"],
  arrival: Arrival,
  peer: Peer,
): Promise<Caller> {
  const tokens = await readTokens(tokenFile(access));
  const token = tokenOf(c);
  if (token !== undefined) return holder(c, token, tokens);
  const signedIn = sessionHolder(c, tokens, isSecure(c, arrival, peer));
  if (signedIn) return signedIn;
  // unless configured, local users and the Unix socket need no token while there is neither token nor proxy
  const localIsFree = access.local ?? (!tokens.exist && access.proxies.length === 0);
  if (!localIsFree) throw unauthorized(c, NEEDED);
  if (peer.address === undefined) return everything("socket", `${arrival.server.url.pathname}`);
  if (!peer.loopback) throw unauthorized(c, NEEDED);
  checkHostHeader(c);
  const uid = peerUser(peer, arrival);
  const user = uid === undefined ? undefined : await lookUpUser(uid);
  if (user?.trusted) return everything("user", user.name);
  throw untrusted(access, user);
}

/** The holder of a token that was given otherwise than by a header. Throws `unauthorized`. */
export const tokenHolder = async (c: Context, access: Config["access"], token: string) =>
  holder(c, token, await readTokens(tokenFile(access)));

function holder(c: Context, token: string, { problem, byHash }: Tokens): Caller {
  if (problem) throw unauthorized(c, "tokens cannot be read; the server's log says why");
  const caller = byHash.get(hashOf(token));
  if (!caller) throw unauthorized(c, "the token is unknown or revoked", true);
  if (!expired(caller)) return caller;
  throw unauthorized(c, `token ${JSON.stringify(caller.name)} has expired`, true);
}

function untrusted({ group }: Config["access"], user?: User): HyperError {
  const who = user
    ? `user ${JSON.stringify(user.name)} is none of them`
    : "the user of this connection is unknown";
  const text = `without a token only the server's own user, root and the group ${group} may call; ${who}`;
  return new HyperError("forbidden", text, { details: { missing: "token" } });
}

const NEEDED = "a token is needed: Authorization: Bearer TOKEN, or X-API-Key: TOKEN";

/** Other Authorization schemes are ignored; a proxy may use them. */
function tokenOf(c: Context): string | undefined {
  const authorization = c.req.header("Authorization");
  const bearer = authorization ? /^Bearer +(.*)$/i.exec(authorization)?.[1]?.trim() : undefined;
  return bearer ?? c.req.header("X-API-Key");
}

function unauthorized(c: Context, text: string, invalid = false): HyperError {
  c.header(
    "WWW-Authenticate",
    `Bearer realm="hypersdk"${invalid ? ', error="invalid_token"' : ""}`,
  );
  return new HyperError("unauthorized", text);
}
