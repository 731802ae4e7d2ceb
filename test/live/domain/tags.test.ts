/** Tags and what selects by them, over two hypervisors and one that is away; looked at with virsh. */
import { afterAll, beforeAll, describe, expect } from "vitest";
import { jobAnswer } from "../../as-job.ts";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { machine, sh, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, virsh } from "../../fixtures/live/virsh.ts";

const { test } = labTest({ tidy: wipe });
const URI = "urn:hypersdk:tags:1";

let server: HostsServer;
beforeAll(async () => {
  server = await serveHosts({
    test: "test:///default",
    away: "qemu+ssh://root@127.0.0.1:1/system",
  });
});
afterAll(() => server.stop());

/** What virsh tells of one side; nothing where libvirt has no such element. */
const tagsOf = async (name: string, side: "--live" | "--config") => {
  const text = await virsh("metadata", name, "--uri", URI, side).catch(() => "");
  return [...text.matchAll(/<tag>(.*?)<\/tag>/g)].map(([, tag]) => tag);
};
const both = async (name: string) => [await tagsOf(name, "--live"), await tagsOf(name, "--config")];
const call = (path: string, body: object) => server.post(path, body);
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();

describe("assign and remove", () => {
  test("what runs, what is off and what is transient has them where it is defined", async () => {
    await machine("runs");
    await virsh("start", "runs");
    await machine("off");
    await machine("goes");
    await virsh("start", "goes");
    await virsh("undefine", "goes");
    const domains = ["runs", "off", "goes"];
    const { status, body } = await call("/tags/assign", { domains, tags: ["web", "team:ä"] });
    expect([status, body.successful, body.failed], JSON.stringify(body)).toEqual([200, 3, 0]);
    for (const { tags } of body.results) expect(tags).toEqual(["team:ä", "web"]);
    const tags = ["team:ä", "web"];
    expect(await both("runs")).toEqual([tags, tags]);
    expect((await both("off"))[1]).toEqual(tags);
    expect((await both("goes"))[0]).toEqual(tags);
    await virsh("destroy", "runs");
    expect((await both("runs"))[1]).toEqual(tags);

    const removed = await call("/tags/remove", { domains: ["runs", "off"], tags: ["web"] });
    expect(removed.body.results[1]).toMatchObject({ success: true, tags: ["team:ä"] });
    expect((await both("runs"))[1]).toEqual(["team:ä"]);
    await call("/tags/remove", { domains: ["off"], tags: ["team:ä"] });
    expect(await virsh("dumpxml", "off")).not.toContain(URI);
  });

  test("what others have in the metadata stays; names may be anything", async () => {
    const name = `it's  "one"; #`;
    await machine(name);
    await virsh("metadata", name, "--uri", "urn:o", "--key", "o", "--set", "<a><b>1</b></a>");
    expectError(
      await call("/tags/assign", { domains: [name], tags: ["<a>"] }),
      400,
      "invalid_input",
      /^tags/,
    );
    const { body } = await call("/tags/assign", { domains: [name, "nowhere"], tags: ["prod"] });
    expect(body.results).toMatchObject([
      { success: true, tags: ["prod"] },
      { success: false, code: "not_found" },
    ]);
    expect(await virsh("metadata", name, "--uri", "urn:o")).toContain("<b>1</b>");
    expect((await both(name))[1]).toEqual(["prod"]);
    expectSuccess(await call("/libvirt/domain/rename", { name, new_name: "other" }));
    expect((await both("other"))[1]).toEqual(["prod"]);
  });

  test("many at once lose none", async () => {
    await machine("vm");
    const tags = Array.from({ length: 12 }, (_, i) => `t${i}`);
    await Promise.all(tags.map((tag) => call("/tags/assign", { domains: ["vm"], tags: [tag] })));
    expect((await both("vm"))[1]).toEqual([...tags].sort());
  });
});

test("tags/list counts over all hypervisors, and says which one is away", async () => {
  await machine("a");
  await machine("b");
  await call("/tags/assign", { domains: ["a", "b", "test/test"], tags: ["prod"] });
  await call("/tags/assign", { domains: ["a"], tags: ["only"] });
  const data = expectSuccess(await server.get("/tags/list"));
  expect(data).toMatchObject({
    tags: [
      { name: "only", vm_count: 1 },
      { name: "prod", vm_count: 3 },
    ],
    unreachable: [{ host: "away", code: "unreachable" }],
  });
  await call("/tags/remove", { domains: ["test/test"], tags: ["prod"] });
});

describe("select", () => {
  test("in the place of domains: those of the call's hypervisor, and what they were is said", async () => {
    for (const name of ["a", "b", "c"]) await machine(name);
    await call("/tags/assign", { domains: ["a", "c"], tags: ["prod"] });
    const select = 'tag:prod AND state:"shut off"';
    const { body } = await call("/libvirt/batch/start", { select, paused: true });
    expect(body, JSON.stringify(body)).toMatchObject({
      ...{ operation: "start", total: 2, successful: 2 },
      results: [{ domain: "local/a" }, { domain: "local/c" }],
      selected: {
        ...{ query: select, hosts: ["local"], domains: ["local/a", "local/c"] },
        ...{ unknown: [], unreachable: [] },
      },
    });
    expect(await Promise.all(["a", "b", "c"].map(state))).toEqual(["paused", "shut off", "paused"]);
    expectError(
      await call("/libvirt/batch/start", { select }),
      404,
      "not_found",
      /no domain on local/,
    );
    expectError(await call("/libvirt/batch/start", {}), 400, "invalid_input", /^domains: required/);
    const wrong = await call("/libvirt/batch/start", { select: "tag:a AND" });
    expectError(wrong, 400, "invalid_input", /^select: at character 10: /);
  });

  test("with host: those of all, and one that is away is said", async () => {
    await machine("a");
    await call("/tags/assign", { domains: ["a", "test/test"], tags: ["both"] });
    const { body } = await call("/tags/remove", { select: "host:* tag:both", tags: ["both"] });
    expect(body).toMatchObject({
      ...{ successful: 2, failed: 0 },
      selected: { domains: ["test/test", "local/a"], unreachable: [{ host: "away" }] },
    });
    expect(await sh("virsh -q metadata a --uri urn:hypersdk:tags:1 --config || true")).toBe("");
  });

  test("as a job", async () => {
    await machine("a");
    await call("/tags/assign", { domains: ["a"], tags: ["nightly"] });
    const headers = { "Content-Type": "application/json", Prefer: "respond-async" };
    const body = { select: "tag:nightly", paused: true };
    const submitted = await server.post("/libvirt/batch/start", body, { headers });
    const answer = await jobAnswer(submitted, server.get);
    expect(answer.body, JSON.stringify(answer.body)).toMatchObject({ successful: 1, selected: {} });
    expect(await state("a")).toBe("paused");
  });
});
