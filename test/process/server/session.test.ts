/** The session of a browser at a real server: its cookie, what it may, who may use it, and how it ends. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { revokeToken } from "../../../runtime/access/token-editor.ts";
import { type Guarded, guarded, noticed } from "../../fixtures/access.ts";
import { until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

let access: Guarded;
let server: TestServer;
let token: string;

beforeEach(async () => {
  access = guarded('hosts.local.uri = "test:///default"');
  token = await access.token("boss", { role: "admin" });
  server = await startServer(access.env);
});
afterEach(async () => {
  await server.stop();
  access.remove();
});

const own = () => ({ "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json" });
const post = (path: string, body: object, headers: Record<string, string>) =>
  server.get(path, { method: "POST", body: JSON.stringify(body), headers });

async function signIn(using = token) {
  const answer = await post("/ui/session", { token: using }, own());
  const cookie = answer.headers.get("Set-Cookie") ?? "";
  return { ...answer, cookie, word: cookie.split(";")[0] ?? "" };
}
const whoami = (Cookie: string) => server.get("/whoami", { headers: { Cookie } });

test("a token becomes a cookie, which no script reads and which does not hold it", async () => {
  expect((await server.get("/whoami")).status).toBe(401);
  const { status, body, cookie, word } = await signIn();
  expect([status, body.data.name]).toEqual([201, "boss"]);
  expect(cookie).toMatch(
    /^hypersdk_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/,
  );
  expect(JSON.stringify(body) + cookie).not.toContain(token);
  expect(JSON.stringify(body)).not.toContain(word.split("=")[1]);
  expect((await whoami(`other=1; ${word}`)).body.data).toMatchObject({
    name: "boss",
    session: true,
  });
  expect(server.log()).not.toContain(token);
});

test("a token that does not count opens none", async () => {
  const { status, cookie } = await signIn("wrong");
  expect([status, cookie]).toEqual([401, ""]);
});

test("it changes things from this server's own page alone", async () => {
  const { word } = await signIn();
  const start = (headers: Record<string, string>) =>
    post(
      "/libvirt/domain/pause",
      { name: "test" },
      { "Content-Type": "application/json", Cookie: word, ...headers },
    );
  const foreign: Record<string, string>[] = [
    {},
    { Origin: "http://evil.test" },
    { Origin: "null" },
    { "Sec-Fetch-Site": "same-site" },
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "none" },
  ];
  for (const headers of foreign)
    expect((await start(headers)).status, JSON.stringify(headers)).toBe(403);
  expect((await start({ "Sec-Fetch-Site": "same-origin" })).status).toBe(200);
  expect(
    (await post("/ui/session", { token }, { "Content-Type": "application/json" })).status,
  ).toBe(403);
  const socket = { Upgrade: "websocket", Connection: "Upgrade", Cookie: word };
  expect((await server.get("/console/serial?name=test", { headers: socket })).status).toBe(403);
});

test("it has the rights of its token, and its calls are the token's in the audit log", async () => {
  const { word } = await signIn(await access.token("looks", { role: "read" }));
  const answer = await post("/libvirt/domain/start", { name: "test" }, { ...own(), Cookie: word });
  expect(answer.status).toBe(403);
  await until(() => access.audited().length > 0);
  expect(access.audited()[0]).toMatchObject({ who: { kind: "token", name: "looks" } });
});

test("over https its cookie is the browser's own of this very server, and counts under that name alone", async () => {
  const https = { ...own(), Origin: `${server.url.replace("http:", "https:")}` };
  const { headers } = await post("/ui/session", { token }, https);
  const cookie = headers.get("Set-Cookie") ?? "";
  expect(cookie).toMatch(
    /^__Host-hypersdk_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure$/,
  );
  const [word = ""] = cookie.split(";");
  expect((await whoami(word)).status).toBe(200);
  expect((await whoami(word.replace("__Host-", ""))).status).toBe(401);
  const { word: plain } = await signIn();
  const asPage = { Origin: https.Origin };
  expect((await server.get("/whoami", { headers: { ...asPage, Cookie: plain } })).status).toBe(401);
  const both = { ...asPage, Cookie: `${plain}; ${word}` };
  expect((await server.get("/whoami", { headers: both })).status).toBe(200);
  await post("/ui/sign-out", {}, { ...https, Cookie: word });
  expect((await whoami(word)).status).toBe(401);
});

test("it ends with its token, and with signing out; then its streams end too", async () => {
  const short = await signIn(await access.token("short", { role: "read" }));
  await revokeToken("short", access.tokens);
  await noticed();
  expect((await whoami(short.word)).status).toBe(401);

  const { word } = await signIn();
  const stream = await fetch(`${server.url}/libvirt/domains/watch`, { headers: { Cookie: word } });
  const began = performance.now();
  const out = await post("/ui/sign-out", {}, { ...own(), Cookie: word });
  expect(out.headers.get("Set-Cookie")).toMatch(/^hypersdk_session=; .*Max-Age=0/);
  expect((await whoami(word)).status).toBe(401);
  expect(await stream.text()).toContain("signed out");
  expect(performance.now() - began).toBeLessThan(slow(2000));
}, 60_000);
