/** One read on several hypervisors: which ones, and one answer for each. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { HyperError } from "../../../runtime/core/errors.ts";
import { defineFunction } from "../../../runtime/function/define.ts";
import { severalHosts } from "../../../runtime/http/fleet.ts";

// biome-ignore lint/suspicious/noExplicitAny: a test looks at whatever the answer holds
type Body = any;

const folder = mkdtempSync(join(tmpdir(), "fleet-"));
const file = join(folder, "hypersdk.toml");
const aliases = ["a", "b", "broken", "wrong"];
writeFileSync(file, aliases.map((alias) => `[hosts.${alias}]\nuri = "test:///default"\n`).join(""));
process.env.HYPERSDK_CONFIG = file;
afterAll(() => rmSync(folder, { recursive: true }));

const common = {
  summary: "Tell the host",
  input: z.strictObject({}),
  output: z.object({ host: z.string() }),
  message: "told",
  async run(_input: object, { host }: { host: string }) {
    if (host === "broken") throw new HyperError("unreachable", "hypervisor broken: no route");
    if (host === "wrong") throw new Error("secret");
    return { host };
  },
};
const read = defineFunction({ method: "GET", access: "read", ...common });
const write = defineFunction({ method: "POST", access: "admin", ...common });
const get = async (query: string, init?: RequestInit) => {
  const response = await read.fetch(new Request(`http://localhost/x${query}`, init));
  return { status: response.status, body: (await response.json()) as Body };
};
const success = (host: string) => ({ host, status: "success", data: { host } });

describe("several hosts", () => {
  test.each(["?host=b,a", "?host=b%2C%20a,b"])(
    "%s: in the order asked for, each once",
    async (query) => {
      const { status, body } = await get(query);
      expect(status).toBe(200);
      expect(body).toMatchObject({ status: "success", message: "2 of 2 hypervisors answered" });
      const hosts = [success("b"), success("a")];
      expect(body.data).toEqual({ hosts, total: 2, successful: 2, failed: 0 });
    },
  );

  test("the header does as well", async () => {
    const { body } = await get("", { headers: { "X-Hypervisor": "a,b" } });
    expect(body.data.hosts).toEqual([success("a"), success("b")]);
  });

  test("*: all that are configured; one that fails costs the others nothing", async () => {
    const { status, body } = await get("?host=*");
    expect(status).toBe(200);
    expect(body.message).toBe("3 of 5 hypervisors answered");
    expect(body.data.hosts).toEqual([
      success("a"),
      success("b"),
      {
        host: "broken",
        status: "error",
        code: "unreachable",
        error: "hypervisor broken: no route",
      },
      {
        host: "wrong",
        status: "error",
        code: "internal",
        error: expect.stringMatching(/^internal/),
      },
      success("local"),
    ]);
    expect(JSON.stringify(body)).not.toContain("secret");
  });

  test("one host: the answer as ever", async () => {
    expect((await get("?host=a")).body.data).toEqual({ host: "a" });
    expect((await get("?host=broken")).status).toBe(503);
  });

  test("an unknown one is a mistake of the caller, and nobody is asked", async () => {
    const { status, body } = await get("?host=a,c,d");
    expect(status).toBe(400);
    expect(body.error).toBe(
      'host: unknown hypervisor "c", "d"; configured: a, b, broken, wrong, local',
    );
  });

  test.each(["a,b", "*"])("a change takes one host, not %s", async (host) => {
    const response = await write.fetch(
      new Request(`http://localhost/x?host=${host}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: "{}",
      }),
    );
    expect(response.status).toBe(400);
    expect(((await response.json()) as Body).error).toMatch(
      /^host: a call that changes something takes one/,
    );
  });

  test("none, or one, is not several", () => {
    expect(severalHosts(undefined)).toBeUndefined();
    expect(severalHosts("a")).toBeUndefined();
  });
});
