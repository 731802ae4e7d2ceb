/** The same on many domains: in order, a bounded number at once, each failure its own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROCESS } from "../../../runtime/access/caller.ts";
import { rightsByName } from "../../../runtime/access/domain-rights.ts";
import { HyperError } from "../../../runtime/core/errors.ts";
import { goDuration } from "../../../runtime/core/go-duration.ts";
import { log } from "../../../runtime/core/log.ts";
import { unwatched } from "../../../runtime/core/progress.ts";
import { BatchResult, batch } from "../../../runtime/function/batch.ts";
import { Domains } from "../../../runtime/function/targets.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { answering, fakeVirsh } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

const names = (count: number) => Array.from({ length: count }, (_, i) => `vm ${i}`);
const { virsh, calls } = answering(() => "11111111-1111-4111-8111-111111111111 42\n");
const rights = rightsByName(PROCESS);
const ctx = { virsh, log, progress: unwatched, host: "local", rights } as unknown as Context;

describe("a batch", () => {
  test("over 50: four at once, in request order, whoever ends first", async () => {
    let [now, most] = [0, 0];
    const done: string[] = [];
    const answer = await batch(ctx, "start", { domains: names(50) }, () => async (domain, name) => {
      most = Math.max(most, ++now);
      await sleep(10 * Math.random());
      now--;
      done.push(name);
      if (name.endsWith("7")) throw new HyperError("not_active", `${name} is off`);
      return { state: domain };
    });
    expect(most).toBe(4);
    expect(done).not.toEqual(names(50));
    expect(BatchResult.parse(answer)).toMatchObject({
      operation: "start",
      total: 50,
      successful: 45,
      failed: 5,
      results: names(50).map((name) =>
        name.endsWith("7")
          ? { domain: name, success: false, error: `${name} is off`, code: "not_active" }
          : { domain: name, success: true, state: name },
      ),
    });
    expect(Object.keys(answer)).toEqual(
      "operation total successful failed results start_time end_time duration".split(" "),
    );
  });

  test("a failure says its code and details; what is not known is told to the log alone", async () => {
    const errors: Record<string, Error> = {
      a: new HyperError("in_use", "busy", { details: { kept: ["x"] } }),
      b: new TypeError("secret of the house"),
    };
    const { results } = await batch(
      ctx,
      "delete",
      { domains: ["a", "b"] },
      () => async (_domain, name) => {
        throw errors[name];
      },
    );
    expect(results).toEqual([
      { domain: "a", success: false, error: "busy", code: "in_use", kept: ["x"] },
      { domain: "b", success: false, error: expect.stringMatching(/log/), code: "internal" },
    ]);
    expect(JSON.stringify(results)).not.toMatch(/secret/);
  });

  test("a domain that is the caller's no more when its turn comes is left alone", async () => {
    const lost = new Set<string>();
    const rights = {
      ...ctx.rights,
      async checkAgain(host: string, name: string) {
        if (lost.has(`${host}/${name}`)) throw new HyperError("forbidden", `not ${name}`);
      },
    };
    const done: string[] = [];
    const { results } = await batch(
      { ...ctx, rights },
      "stop",
      { domains: names(6) },
      () => async (_, name) => {
        lost.add("local/vm 5"); // the sixth waits for one of the first four
        done.push(name);
      },
    );
    expect(done).toEqual(names(5));
    expect(results[5]).toMatchObject({ success: false, code: "forbidden", error: "not vm 5" });
  });

  test("a name that could be an ID becomes a UUID; one that does not exist fails alone", async () => {
    calls.splice(0);
    const { results, failed } = await batch(
      ctx,
      "pause",
      { domains: ["42", "43", "vm"] },
      () => async (domain) => ({
        domain_was: domain,
      }),
    );
    expect(results).toMatchObject([
      { domain: "42", domain_was: "11111111-1111-4111-8111-111111111111" },
      { domain: "43", success: false, code: "not_found" },
      { domain: "vm", domain_was: "vm" },
    ]);
    expect(failed).toBe(1);
    expect(calls.length).toBe(2);
  });
});

test.each([
  [0, "0ms"],
  [0.4, "0ms"],
  [340.2, "340ms"],
  [999.4, "999ms"],
  [999.6, "1s"],
  [1200, "1.2s"],
  [15_000, "15s"],
  [59_940, "59.9s"],
  [59_960, "1m0s"],
  [125_000, "2m5s"],
  [3_599_400, "59m59s"],
  [3_599_600, "1h0m0s"],
  [90_061_000, "25h1m1s"],
])("%d ms is %s", (ms, text) => expect(goDuration(ms)).toBe(text));

describe("the domains", () => {
  test.each([
    [[], /at least one/],
    [names(1001), /at most 1000/],
    [["a", "b", "a"], /twice/],
    [["a", ""], /empty/],
    [["-a"], /begin with/],
    ["a", /array/],
  ])("%j are refused", (domains, text) => {
    const { error } = Domains.safeParse(domains);
    expect(error?.issues.map(({ message }) => message).join()).toMatch(text);
  });

  test("1000 are not too many", () => {
    expect(Domains.safeParse(names(1000)).success).toBe(true);
  });
});

/** The fake virsh does what its words say, so a domain named "hang" makes its command hang. */
describe("over 50 domains, with a virsh that hangs on one of them", () => {
  const fake = fakeVirsh();
  const folder = mkdtempSync(join(tmpdir(), "batch-"));
  let server: TestServer;
  beforeAll(async () => {
    writeFileSync(join(folder, "hypersdk.toml"), "[virsh]\ntimeout = 1\n");
    server = await startServer({ HYPERSDK_CONFIG: join(folder, "hypersdk.toml") });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
    fake.remove();
  });

  test.each([
    ["start", {}],
    ["stop", { force: true }],
    ["reboot", {}],
    ["pause", {}],
    ["resume", {}],
    ["delete", {}],
  ])("%s: it times out alone", async (operation, options) => {
    const domains = [...names(20), "hang", ...names(50).slice(20)].slice(0, 50);
    const begun = performance.now();
    const { status, body } = await server.post(`/libvirt/batch/${operation}`, {
      domains,
      ...options,
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ operation, total: 50, successful: 49, failed: 1 });
    expect(body.results.map(({ domain }: { domain: string }) => domain)).toEqual(domains);
    expect(body.results[20]).toMatchObject({
      success: false,
      code: "timed_out",
      error: expect.stringMatching(/no answer within 1 s/),
    });
    expect(performance.now() - begun).toBeLessThan(slow(12_000)); // four at once that all hang take that long
    // neither the one that hangs nor another is asked twice
    const verb = { stop: "destroy", pause: "suspend", delete: "dominfo" }[operation] ?? operation;
    expect(fake.count(verb)).toBe(50);
  });

  test("host/name: on that hypervisor, prepared once for each; a typo stops all before any begins", async () => {
    const prepared: string[] = [];
    const at = (host: string): Context =>
      ({
        ...ctx,
        host,
        forHost(alias: string) {
          if (alias === "kvm9") throw new HyperError("invalid_input", "host: unknown hypervisor");
          return at(alias);
        },
      }) as Context;
    const run = (domains: string[]) =>
      batch(at("local"), "start", { domains }, ({ host }) => {
        prepared.push(host);
        return async (domain, name) => ({ on: host, domain_was: domain, name });
      });
    const { results } = await run(["a", "kvm1/a", "kvm1/b", "kvm2/a"]);
    expect(results).toEqual([
      { domain: "a", success: true, on: "local", domain_was: "a", name: "a" },
      { domain: "kvm1/a", success: true, on: "kvm1", domain_was: "a", name: "a" },
      { domain: "kvm1/b", success: true, on: "kvm1", domain_was: "b", name: "b" },
      { domain: "kvm2/a", success: true, on: "kvm2", domain_was: "a", name: "a" },
    ]);
    expect(prepared).toEqual(["local", "kvm1", "kvm2"]);
    await expect(run(["a", "kvm9/a"])).rejects.toThrow("unknown hypervisor");
    await expect(run(["a", "local/a"])).rejects.toThrow("must not name a domain twice: local/a");
  });

  test.each(["/a", "kvm1/", "kvm1/-a", "kvm1/a/b"])("%s is no domain", (text) => {
    expect(Domains.safeParse([text]).success).toBe(false);
  });
});
