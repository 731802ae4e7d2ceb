/** Which hypervisors the database knows by their alias alone, and which by their machine too. */
import { afterEach, expect, test } from "vitest";
import * as z from "zod";
import { PROCESS } from "../../../runtime/access/caller.ts";
import { rightsByName } from "../../../runtime/access/domain-rights.ts";
import { settings } from "../../../runtime/core/settings.ts";
import { targeted } from "../../../runtime/function/targets.ts";
import { newJob } from "../../../runtime/http/new-job.ts";
import { aliasHere, aliasOf, hostKey, isHere } from "../../../runtime/jobs/host-key.ts";

const { hosts, database, jobs } = settings();
const local = hosts.local?.uri ?? "";
const use = (uri: string, url: string | undefined, machine?: string) => {
  Object.assign(hosts, { local: { uri }, kvm1: { uri: "qemu+ssh://root@kvm1/system" } });
  Object.assign(database, { url });
  Object.assign(jobs, { machine });
};
afterEach(() => use(local, undefined));
const URL_OF_ALL = "postgres://db.example/hypersdk";

test("a private database is one machine's, so that aliases do", () => {
  use("qemu:///system", undefined, "web1");
  expect([hostKey("local"), hostKey("kvm1")]).toEqual(["local", "kvm1"]);
});

test.each([
  "qemu:///system",
  "test:///default",
  "qemu+unix:///system?socket=/run/x",
  "qemu+ssh://root@localhost:22/system",
  "qemu+ssh://127.0.0.1/system",
  "qemu+tcp://[::1]/system",
])("%s is each machine's own", (uri) => {
  use(uri, URL_OF_ALL, "web1");
  expect(hostKey("local")).toBe("local/web1");
  expect(hostKey("kvm1")).toBe("kvm1");
});

test("a `local` that names a host is the same one everywhere", () => {
  use("qemu+ssh://root@kvm9/system", URL_OF_ALL, "web1");
  expect(hostKey("local")).toBe("local");
});

test("a machine without a name is told by a hash, the same with each call", () => {
  use("qemu:///system", URL_OF_ALL);
  expect(hostKey("local")).toMatch(/^local\/[0-9a-f]{16}$/);
  expect(hostKey("local")).toBe(hostKey("local"));
  expect(aliasOf(hostKey("local"))).toBe("local");
});

test("another machine's own hypervisor is not used from here", () => {
  use("qemu:///system", URL_OF_ALL, "web1");
  expect(aliasHere("local/web1")).toBe("local");
  expect(isHere("local/web2")).toBe(false);
  expect(isHere("local")).toBe(false);
  expect(() => aliasHere("local/web2")).toThrow(
    /^name: the schedule is for hypervisor local of another machine/,
  );
});

test("a job that names domains of this machine's hypervisor is a job for this machine", async () => {
  use("qemu:///system", URL_OF_ALL, "web1");
  const spec = {
    ...{ method: "POST" as const, access: "operate" as const, output: z.object({}) },
    input: targeted({}),
  };
  const by = { caller: PROCESS, rights: rightsByName(PROCESS) };
  const job = (host: string, domains: string[]) =>
    newJob({ path: "/x", spec, host, given: { domains }, input: { domains }, ...by });
  const own = await job("local", ["a", "kvm1/b"]);
  expect(own.host).toBe("local/web1");
  expect(own.locks.exclusive).toEqual(["local/web1/a", "kvm1/b"]);
  expect(own.domains).toEqual(["a", "kvm1/b"]);
  await expect(job("kvm1", ["b", "local/a"])).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(/^domains: local\/a is on this machine.*host "local"$/),
  });
});
