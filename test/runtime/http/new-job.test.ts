/** The locks of a job are by its domains' names, however its input names them. */
import { afterAll, expect, test } from "vitest";
import { PROCESS } from "../../../runtime/access/caller.ts";
import { settings } from "../../../runtime/core/settings.ts";
import { prepareJob } from "../../../runtime/function/prepare-job.ts";
import { fakeVirsh } from "../../fixtures/fake.ts";

const virsh = fakeVirsh();
afterAll(virsh.remove);

test.each([
  ["web", 0],
  ["web-7", 0],
  ["7", 0],
  ["73dcbe71-587d-4dde-8cf7-babae3350716", 1],
])("for %s, virsh is asked %i times for the name", async (name, times) => {
  const before = virsh.count("domname");
  const job = { function: "/libvirt/domain/pause", input: { name } };
  const { locks, domains } = await prepareJob({ caller: PROCESS }, job);
  expect(virsh.count("domname") - before).toBe(times);
  expect(domains).toEqual([name]); // the fake knows none
  expect(locks).toEqual({ exclusive: [`local/${name}`], shared: [] });
});

test("a domain whose name cannot be told has no lock of another name: the job is refused, and by name it is not", async () => {
  Object.assign(settings().hosts, { away: { uri: "qemu+ssh://root@127.0.0.1:1/system" } });
  const prepare = (name: string) =>
    prepareJob(
      { caller: PROCESS },
      { function: "/libvirt/domain/pause", input: { name }, host: "away" },
    );
  const uuid = "73dcbe71-587d-4dde-8cf7-babae3350716";
  await expect(prepare(uuid)).rejects.toMatchObject({ code: "unreachable" });
  expect((await prepare("web")).locks.exclusive).toEqual(["away/web"]);
});
