/** Where the server listens: what it refuses to, TLS and its certificates, the Unix socket, behind a proxy. */
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import { type Pair, selfSigned, signed } from "../../fixtures/certificate.ts";
import { until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

const TEST = 'hosts.local.uri = "test:///default"';
const places = guarded(TEST);
const pair = selfSigned(places.folder, "first");
const other = selfSigned(places.folder, "second");
const authority = selfSigned(places.folder, "authority");
const client = signed(places.folder, "client", authority);
afterAll(places.remove);

const running: { server?: TestServer; access: Guarded }[] = [];
afterEach(async () => {
  for (const { server, access } of running.splice(0)) {
    await server?.stop();
    access.remove();
  }
});

async function serving(env: Record<string, string>, ...toml: string[]) {
  const access = guarded(TEST, ...toml);
  const token = await access.token("ci", { role: "admin" });
  const started: { server?: TestServer; access: Guarded } = { access };
  running.push(started);
  started.server = await startServer({ ...access.env, ...env });
  return { server: started.server, access, token };
}
const tls = ({ cert, key }: Pair, more = "") => `tls = { cert = "${cert}", key = "${key}"${more} }`;

describe.each([
  ["in clear", []],
  ["with TLS", [tls(pair)]],
])("a port that another server has, %s", (_how, toml) => {
  test("is refused, also one of ours", async () => {
    const { server } = await serving({}, ...toml);
    const { port } = new URL(server.url);
    await expect(serving({ PORT: port }, ...toml)).rejects.toThrow(
      /in use\?.*choose another port with PORT/s,
    );
  });
});

describe("another address than loopback", () => {
  const refused = async (token: boolean, ...toml: string[]) => {
    const access = guarded(TEST, ...toml);
    if (token) await access.token("ci", { role: "read" });
    running.push({ access });
    const error = await startServer({ ...access.env, HOST: "0.0.0.0" }).catch((why: Error) => why);
    return `${error}`.split("\n").at(-2);
  };

  test("needs a token and TLS, and says so", async () => {
    expect(await refused(false)).toMatch(
      /^hypersdk: a server on 0\.0\.0\.0 needs a token in .*tokens\.json \(hypersdk token create NAME --role read\), and \[tls\] cert and key, or \[access\] proxies; without, host = "127\.0\.0\.1"/,
    );
    expect(await refused(true)).toMatch(/needs \[tls\] cert and key, or \[access\] proxies;/);
    expect(await refused(false, tls(pair))).toMatch(/needs a token in [^[]*; without/);
  });

  test("a token that has expired is none", async () => {
    const access = guarded(TEST, tls(pair));
    running.push({ access });
    await access.token("late", { role: "read", expires: "2020-01-01T00:00:00Z" });
    await expect(startServer({ ...access.env, HOST: "::" })).rejects.toThrow("needs a token");
  });

  test("with both it listens; nobody comes in without a token, from this machine either", async () => {
    const { server, token } = await serving({ HOST: "0.0.0.0" }, tls(pair));
    const url = server.url.replace("0.0.0.0", "127.0.0.1");
    const get = (headers: Record<string, string>) =>
      fetch(`${url}/health`, { headers, tls: { ca: readFileSync(pair.cert, "utf8") } });
    expect((await get({ "X-API-Key": token })).status).toBe(200);
    expect((await get({})).status).toBe(401);
  });
});

describe("behind a proxy", () => {
  test("the caller's address is what the proxy says; no local user comes in without a token", async () => {
    const { server, access, token } = await serving({}, 'access.proxies = ["127.0.0.0/8"]');
    const headers = { "X-API-Key": token, "X-Forwarded-For": "6.6.6.6, 192.0.2.7, 127.0.0.9" };
    const pause = {
      method: "POST",
      body: "{}",
      headers: { ...headers, "Content-Type": "application/json" },
    };
    expect((await server.get("/libvirt/domain/pause", pause)).status).toBe(400);
    expect(access.audited()).toMatchObject([{ address: "192.0.2.7" }]);
    expect((await server.get("/health")).status).toBe(401);
  });

  test("without one, nobody may say so", async () => {
    const { server, access, token } = await serving({});
    const headers = {
      "X-API-Key": token,
      "X-Forwarded-For": "192.0.2.7",
      "Content-Type": "application/json",
    };
    await server.get("/libvirt/domain/pause", { method: "POST", body: "{}", headers });
    expect(access.audited()).toMatchObject([{ address: "127.0.0.1" }]);
  });
});

/** The name on the certificate that a server shows. */
async function shown(server: TestServer, more: object = {}): Promise<string> {
  const socket = tlsConnect({
    port: Number(new URL(server.url).port),
    rejectUnauthorized: false,
    ...more,
  });
  await once(socket, "secureConnect");
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return `${CN}`;
}

describe("TLS", () => {
  test(
    "certificates are read again when they change; calls under way go on",
    async () => {
      const now = { cert: join(places.folder, "now.crt"), key: join(places.folder, "now.key") };
      const use = ({ cert, key }: Pair) => {
        copyFileSync(key, now.key);
        copyFileSync(cert, now.cert);
      };
      use(pair);
      const { server, token } = await serving({}, tls(now));
      expect(server.url).toMatch(/^https:/);
      expect(await shown(server)).toBe("first");
      writeFileSync(now.cert, "no certificate");
      await until(() => server.log().includes("cannot be used"), "it is said", 8000);
      expect(await shown(server)).toBe("first");
      const held = tlsConnect({
        port: Number(new URL(server.url).port),
        rejectUnauthorized: false,
      });
      await once(held, "secureConnect");
      held.write(`GET /health HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${token}\r\n`); // not all of it
      use(other);
      await until(() => server.log().includes("was read again"), "it is read", 8000);
      for (let n = 0; n < 5; n++) expect(await shown(server)).toBe("second");
      held.write("\r\n");
      const [answer] = await once(held, "data");
      expect(`${answer}`).toMatch(/^HTTP\/1.1 200/);
      held.destroy();
    },
    slow(20_000),
  );

  test("a key that is not the certificate's, or is not there, keeps it from starting", async () => {
    const mixed = { cert: pair.cert, key: other.key };
    await expect(serving({}, tls(mixed))).rejects.toThrow("[tls] key is not the key of cert");
    await expect(serving({}, tls({ ...pair, key: "/nowhere.key" }))).rejects.toThrow(
      "/nowhere.key",
    );
  });

  test("client certificates: asked for, beside the token", async () => {
    const { server, token } = await serving({}, tls(pair, `, client_ca = "${authority.cert}"`));
    const ask = (mine?: Pair, headers: Record<string, string> = { "X-API-Key": token }) =>
      fetch(`${server.url}/health`, {
        headers,
        keepalive: false,
        tls: {
          ca: readFileSync(pair.cert, "utf8"),
          ...(mine && {
            cert: readFileSync(mine.cert, "utf8"),
            key: readFileSync(mine.key, "utf8"),
          }),
        },
      });
    expect((await ask(client)).status).toBe(200);
    expect((await ask(client, {})).status).toBe(401);
    await expect(ask()).rejects.toThrow();
    await expect(ask(other)).rejects.toThrow();
  });
});

describe("a Unix socket", () => {
  const path = () => join(places.folder, "hyper.sock");
  const get = async (headers: Record<string, string> = {}) => {
    const response = await fetch("http://localhost/whoami", { unix: path(), headers });
    const body = (await response.json()) as { data: { kind: string; name: string } };
    return { status: response.status, body };
  };
  const starting = async (...toml: string[]) => {
    const access = guarded(TEST, `listen = "unix:${path()}"`, ...toml);
    const started: { server?: TestServer; access: Guarded } = { access };
    running.push(started);
    started.server = await startServer(access.env);
    return { server: started.server, access };
  };

  test("serves those who may write to it, and is gone with the server", async () => {
    const { server, access } = await starting('access.group = "nogroup"');
    expect(server.url).toBe(`unix://${path()}`);
    expect((statSync(path()).mode & 0o777).toString(8)).toBe("660");
    const { status, body } = await get();
    expect([status, body.data]).toMatchObject([200, { kind: "socket", name: path() }]);
    const token = await access.token("ci", { role: "read" });
    expect((await get()).status).toBe(401);
    expect((await get({ "X-API-Key": token })).body.data).toMatchObject({ kind: "token" });
    await server.stop();
    expect(existsSync(path())).toBe(false);
  });

  test("without the group it is this user's alone", async () => {
    await starting('access.group = "no-such-group"');
    expect((statSync(path()).mode & 0o777).toString(8)).toBe("600");
  });

  test("what a killed server has left is replaced; one that is served, or a file, is not", async () => {
    const first = await starting();
    process.kill(first.server.pid, "SIGKILL");
    await until(() => !existsSync(`/proc/${first.server.pid}/exe`), "it is gone");
    expect(existsSync(path())).toBe(true);
    await starting();
    expect((await get()).status).toBe(200);
    await expect(starting()).rejects.toThrow(/EADDRINUSE/);
    expect((await get()).status).toBe(200);
  });
});

test("a file in the socket's place stays", async () => {
  const file = join(places.folder, "file");
  writeFileSync(file, "mine");
  chmodSync(file, 0o600);
  const access = guarded(TEST, `listen = "unix:${file}"`);
  running.push({ access });
  await expect(startServer(access.env)).rejects.toThrow("did not start");
  expect(readFileSync(file, "utf8")).toBe("mine");
});
