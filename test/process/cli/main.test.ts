/** The command as its users run it, on libvirt's own test hypervisor, which needs no daemon. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import pkg from "../../../package.json" with { type: "json" };
import { hypersdk, LAUNCHER, onTerminal } from "../../cli.ts";
import { slow } from "../../fixtures/slowness.ts";

process.env.LIBVIRT_DEFAULT_URI = "test:///default";
vi.setConfig({ testTimeout: slow(60_000) }); // a process for each call, on a machine that may be busy
const folder = mkdtempSync(join(tmpdir(), "cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const call = (...args: string[]) => hypersdk(["call", ...args]);

describe("exit status", () => {
  test("0: done", async () => {
    const { code, stdout, stderr } = await call("libvirt/networks");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ networks: [{ name: "default" }], total: 1 });
    expect(await hypersdk(["--version"])).toMatchObject({ code: 0, stdout: `${pkg.version}\n` });
    expect(await hypersdk(["--help"])).toMatchObject({ code: 0, stderr: "" });
  });

  test("1: refused or failed", async () => {
    expect(await call("libvirt/network", "name=nowhere")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "hypersdk: Network not found: no network with matching name 'nowhere' (not_found)\n",
    });
    const { code, stdout, stderr } = await call("libvirt/network", "name=nowhere", "--json");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(JSON.parse(stderr)).toEqual({
      error: "Network not found: no network with matching name 'nowhere'",
      code: "not_found",
    });
    const batch = await call("libvirt/batch/pause", "domains=test", "domains=nowhere");
    expect(batch).toMatchObject({ code: 1, stderr: "" });
    expect(JSON.parse(batch.stdout)).toMatchObject({ successful: 1, failed: 1 });
  });

  test.each([
    [[], /^Usage: hypersdk /],
    [["cal"], /unknown command 'cal'\n\(Did you mean call\?\)/],
    [["call"], /missing argument 'function'/],
    [["call", "health", "--hots", "x"], /unknown option '--hots'\n\(Did you mean --host\?\)/],
    [["call", "libvirt/netwroks"], /no such function; did you mean libvirt\/networks\?/],
    [["call", "libvirt/network"], /name: required \(string\)\n.*--help tells what it takes/],
    [["call", "libvirt/network", "nam=x"], /nam: no such field; did you mean name\?/],
    [["call", "libvirt/network", "x"], /x: fields are written as key=text/],
    [
      ["call", "libvirt/networks", "--host", "kvm9"],
      /unknown hypervisor "kvm9"; configured: local/,
    ],
    [["call", "libvirt/networks", "--host", "kvm9,local"], /unknown hypervisor "kvm9"/],
    [["call", "libvirt/network/start", "name=x", "--host", "*"], /takes one hypervisor/],
    [["call", "health", "--server", "nowhere"], /is not a URL/],
    [["completion", "tcsh"], /Allowed choices are bash, zsh, fish/],
  ])("2: used wrongly: %j", async (args, text) => {
    const { code, stdout, stderr } = await hypersdk(args);
    expect(stderr).toMatch(text);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});

test("list has every function with its summary", async () => {
  const { code, stdout } = await hypersdk(["list"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toContainEqual({
    function: "libvirt/network/create",
    method: "POST",
    summary: "Define a network",
  });
});

test("openapi is the description", async () => {
  const { code, stdout } = await hypersdk(["openapi"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    openapi: expect.stringMatching(/^3\.1/),
    paths: { "/libvirt/networks": { get: {} } },
  });
});

test("a function's help lists what a field may be, whatever else is wrong", async () => {
  const { code, stdout } = await call("libvirt/volume/wipe", "--help", "nonsense", "--host", "x");
  expect(code).toBe(0);
  expect(stdout).toContain("pfitzner33");
  expect(await call("--help")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("--host"),
  });
});

test("input from standard input and a file; what comes later wins", async () => {
  const file = join(folder, "lan.json");
  writeFileSync(file, '{"name":"from-file","forward":"none"}');
  const args = ["call", "libvirt/network/create", "-", `@${file}`, "name=from-word"];
  const { stdout, code } = await hypersdk(args, { input: '{"name":"in","bridge":"virbr9"}' });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    name: "from-word",
    forward: "none",
    bridge: "virbr9",
  });
});

test("--host takes an alias or a URI, or several for a read", async () => {
  const file = join(folder, "hosts.toml");
  writeFileSync(file, '[hosts.a]\nuri = "test:///default"\n[hosts.b]\nuri = "test:///default"\n');
  const env = { HYPERSDK_CONFIG: file };
  const run = async (host: string) => {
    const { stdout } = await hypersdk(["call", "libvirt/networks", "--host", host], { env });
    return JSON.parse(stdout);
  };
  expect(await run("a")).toMatchObject({ total: 1 });
  expect(await run("test:///default")).toMatchObject({ total: 1 });
  const each = (host: string) => ({ host, status: "success", data: { total: 1 } });
  expect(await run("a,b")).toMatchObject({ hosts: [each("a"), each("b")], failed: 0 });
  expect(await run("*")).toMatchObject({ total: 3 });
});

test("a broken configuration is named", async () => {
  const file = join(folder, "broken.toml");
  writeFileSync(file, "hots = 1");
  const env = { HYPERSDK_CONFIG: file };
  const { code, stderr } = await hypersdk(["call", "libvirt/networks"], { env });
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^hypersdk: .*broken\.toml: unknown key "hots" \(allowed: host, port, .*\)\n$/,
  );
  expect(await hypersdk(["call", "libvirt/networks", "--help"], { env })).toMatchObject({
    code: 0,
  });
});

describe("with --server", () => {
  const asked: { url: string; token: string | undefined; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    asked.push({
      url: `${request.method} ${request.url}`,
      token: request.headers.authorization,
      body,
    });
    response.setHeader("Content-Type", "application/json");
    if (request.url?.includes("refuse")) {
      response.writeHead(403).end('{"error":"not for you","code":"permission_denied"}');
    } else response.end('{"status":"success","message":"","data":{"name":"lan"}}');
  });
  let url: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  test("it asks the server, with the token and the hypervisor", async () => {
    const args = ["call", "libvirt/network/create", "name=lan", "--server", url];
    const env = { HYPERSDK_TOKEN: "from-env" };
    expect(await hypersdk(args, { env })).toMatchObject({ code: 0, stderr: "" });
    await hypersdk([...args, "--token", "given", "--host", "kvm1,kvm2"], { env });
    const body = '{"name":"lan"}';
    const path = "POST /libvirt/network/create";
    expect(asked).toEqual([
      { url: path, token: "Bearer from-env", body },
      { url: `${path}?host=kvm1%2Ckvm2`, token: "Bearer given", body },
    ]);
  });

  test("its refusal is 1, a server that is not there too; a mistake is found before it is asked", async () => {
    asked.length = 0;
    const refused = await call("libvirt/network", "name=refuse", "--server", url);
    expect(refused).toMatchObject({
      code: 1,
      stderr: "hypersdk: not for you (permission_denied)\n",
    });
    const away = await call("health", "--server", "http://127.0.0.1:9");
    expect(away).toMatchObject({ code: 1, stderr: expect.stringContaining("(unreachable)") });
    expect(await call("libvirt/network", "nme=x", "--server", url)).toMatchObject({ code: 2 });
    expect(asked).toHaveLength(1);
  });
});

test("on a terminal: a table and the sentence", async () => {
  const terminal = onTerminal([LAUNCHER, "call", "libvirt/networks"]);
  expect(await terminal.ended).toBe(0);
  expect(terminal.screen()).toMatch(
    /^NAME {5}ACTIVE {2}PERSISTENT {2}AUTOSTART\r\ndefault {2}yes +yes +no\r\n\r\n1 network\r\n$/,
  );
  const json = onTerminal([LAUNCHER, "call", "libvirt/networks", "--json"]);
  expect(await json.ended).toBe(0);
  expect(JSON.parse(json.screen())).toMatchObject({ total: 1 });
});

test("a reader that goes away is no error", async () => {
  const { stdout, stderr } = await hypersdk(["-c", `"$0" openapi | head -c 10`, LAUNCHER], {
    launcher: "/bin/sh",
  });
  expect(stdout).toHaveLength(10);
  expect(stderr).toBe("");
});
