/** GET /openapi.json: the description as it is served, by the host and by its own file. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import openapi from "../../functions/openapi.json.ts";
import { describeApi } from "../../runtime/api/openapi.ts";
import { version } from "../../runtime/core/version.ts";
import { FUNCTIONS } from "../../runtime/function/load.ts";
import { allFunctions } from "../fixtures/functions.ts";
import { startServer, type TestServer } from "../server.ts";

const expected = JSON.parse(JSON.stringify(describeApi(await allFunctions(), version)));
const env = { LIBVIRT_DEFAULT_URI: "test:///default" };

let server: TestServer;
beforeAll(async () => {
  server = await startServer(env);
});
afterAll(() => server.stop());

test("it is the description of all functions, without an envelope", async () => {
  const { status, headers, body } = await server.get("/openapi.json");
  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe("application/json");
  expect(body).toEqual(expected);
  expect(Object.keys(body).slice(0, 2)).toEqual(["openapi", "info"]);
});

test("it is the same when its file serves itself, and from a script", async () => {
  const alone = await startServer(env, [join(FUNCTIONS, "openapi.json.ts")]);
  try {
    expect((await alone.get("/openapi.json")).body).toEqual(expected);
  } finally {
    await alone.stop();
  }
  expect(await openapi({})).toEqual(expected);
});

test("it is made once", async () => {
  const one = (await openapi({})) as Record<string, unknown>;
  const another = (await openapi({})) as Record<string, unknown>;
  expect(one.paths).toBe(another.paths);
});
