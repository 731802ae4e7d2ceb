/** Which queries a token may have, and what is known of its domains before and after they were looked up. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { everything } from "../../../../runtime/access/caller.ts";
import { enter } from "../../../../runtime/http/authorise.ts";
import type { Call } from "../../../../runtime/http/call.ts";
import type { Admission } from "../../../../runtime/http/limits.ts";
import { type Context, createContext } from "../../../../runtime/hypervisor/context.ts";
import { closeHypervisors } from "../../../../runtime/hypervisor/registry.ts";
import { inTurn } from "../../../../runtime/libvirt/domain/turn.ts";
import {
  parseRights,
  SelectedDomains,
} from "../../../../runtime/libvirt/inventory/selected-domains.ts";

const URI = "urn:hypersdk:tags:1";
const folder = mkdtempSync(join(tmpdir(), "selected-"));
const tagged = (name: string, tag: string) =>
  `<domain type='test'><name>${name}</name><memory>65536</memory><os><type>hvm</type></os>
    <metadata><h:tags xmlns:h="${URI}"><h:tag>${tag}</h:tag></h:tags></metadata></domain>`;
writeFileSync(
  join(folder, "node.xml"),
  `<node>${tagged("web", "prod")}${tagged("db", "dev")}${tagged("a*", "dev")}</node>`,
);
process.env.LIBVIRT_DEFAULT_URI = `test://${folder}/node.xml`;
afterAll(async () => {
  await closeHypervisors();
  rmSync(folder, { recursive: true });
});

test.each([
  "tag:prod",
  "tag:prod OR tag:dev*",
  "tag:prod AND host:kvm*",
  "host:kvm1 (tag:a OR tag:b)",
  "tag:prod AND NOT tag:locked",
  "tag:* NOT host:kvm1",
])("a token may have %s", (text) => {
  expect(parseRights(text).text).toBe(text);
});

test.each([
  ["web", /name:$/],
  ["tag:prod AND name:web*", /name:$/],
  ["tag:prod state:running", /state:$/],
  ["tag:prod OR memory:>1GiB", /memory:$/],
  ["host:kvm1", /without a tag/],
  ["NOT tag:prod", /without a tag/],
  ["NOT host:kvm1", /without a tag/],
  ["tag:prod OR host:kvm1", /without a tag/],
  ["tag:prod OR NOT tag:dev", /without a tag/],
  ["tag:", /./],
  ["", /./],
])("and not %j", (text, error) => {
  expect(() => parseRights(text)).toThrow(error);
});

const holder = (select: string, limits = {}) =>
  new SelectedDomains({ ...everything("token", "ci"), domains: [], select, ...limits }, select);

test("nothing is its own before it was looked up, nor what does not exist", async () => {
  const rights = holder("tag:prod");
  expect(rights.sees("local", "web")).toBe(false);
  await rights.lookUp("local", ["web", "db", "nothing"]);
  expect(["web", "db", "nothing"].map((name) => rights.sees("local", name))).toEqual([
    true,
    false,
    false,
  ]);
  expect(rights.sees("other", "web")).toBe(false);
  expect(await rights.haveChanged()).toBe(false);
});

test("all of a hypervisor, by their names as they are", async () => {
  const rights = holder("tag:dev");
  await rights.lookUp("local");
  expect(["web", "db", "a*", "abc"].map((name) => rights.sees("local", name))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect(await rights.haveChanged()).toBe(false);
});

test("a hypervisor that the query excludes has none, and one that is not the token's is refused", async () => {
  const elsewhere = holder("tag:prod host:kvm*");
  await elsewhere.lookUp("local");
  expect(elsewhere.sees("local", "web")).toBe(false);
  const limited = holder("tag:prod", { hosts: ["kvm1"] });
  await expect(limited.lookUp("local", ["web"])).rejects.toMatchObject({
    code: "forbidden",
    details: { missing: "host:local" },
  });
});

test("a domain is looked at again: one that has lost its tag is refused, by the name that was given", async () => {
  const rights = holder("tag:prod");
  const { virsh } = createContext();
  await rights.lookUp("local", ["web", "db"]);
  const uuid = (await virsh(["domuuid", "web"])).trim();
  await rights.checkAgain("local", "web");
  await virsh(["metadata", "web", "--uri", URI, "--remove"]);
  expect(rights.sees("local", "web")).toBe(true); // as it was
  const refused = { code: "forbidden", details: { missing: "domain:web" } };
  await expect(rights.checkAgain("local", "web")).rejects.toMatchObject(refused);
  await expect(rights.checkAgain("local", "web", uuid)).rejects.toMatchObject(refused);
  await expect(rights.checkAgain("local", "gone")).rejects.toMatchObject({ code: "forbidden" });
});

test("a call that waited for its place begins with rights of which nothing is known yet", async () => {
  const caller = { ...everything("token", "ci"), domains: [], select: "tag:prod" };
  const before = holder("tag:prod");
  const call = { caller, rights: before } as unknown as Call;
  await enter(call, { enter: () => undefined } as unknown as Admission, "local");
  expect(call.rights).toBe(before);
  await enter(call, { enter: async () => {} } as unknown as Admission, "local");
  expect(call.rights).not.toBe(before);
});

test("what waits for the changes of a domain before it looks again", async () => {
  const virsh = Object.assign(async () => "Name: web\nUUID: 1-2\n", {});
  const checked: unknown[] = [];
  const rights = {
    async checkAgain(...what: unknown[]) {
      checked.push(what);
      if (checked.length > 1) throw new Error("lost");
    },
  };
  const ctx = { virsh, rights, host: "local", uri: "u" } as unknown as Context;
  const works: string[] = [];
  const turn = (name: string) => inTurn(ctx, "web", async () => works.push(name));
  const [, second] = await Promise.allSettled([turn("first"), turn("second")]);
  expect([works, second.status]).toEqual([["first"], "rejected"]);
  expect(checked).toEqual([
    ["local", "web", "1-2"],
    ["local", "web", "1-2"],
  ]);
});
