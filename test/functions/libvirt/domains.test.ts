/** GET /libvirt/domains: names and states from virsh's lists, whatever the names. */
import { expect, test } from "vitest";
import domains from "../../../functions/libvirt/domains.ts";
import { answering } from "../../fixtures/fake.ts";

const uuid = (i: number) => `${i}`.padStart(8, "0").concat("-0000-4000-8000-000000000000");
const NAMES = ["plain", "  spaces  ", "7", 'it\'s "x"', "Domain: 'y'", "été 日本"];

test("each with its own marks", async () => {
  const flags = ["--persistent", "--autostart", "--with-managed-save", "--with-snapshot"];
  const fake = answering((verb, ...words) => {
    if (verb === "domstats")
      return NAMES.map((name, i) => `Domain: '${name}'\n  state.state=${(i % 6) + 1}\n\n`).join("");
    const flag = flags.findIndex((one) => words.includes(one));
    const rows = NAMES.flatMap((name, i) =>
      flag < 0 || i === flag ? [`${uuid(i)} ${name}\n`] : [],
    );
    return rows.join("");
  });
  const { domains: found, total } = await domains({}, fake);
  expect(total).toBe(NAMES.length);
  const base = { persistent: false, autostart: false, managed_save: false, snapshots: false };
  const marks = ["persistent", "autostart", "managed_save", "snapshots"];
  const states = ["running", "blocked", "paused", "in shutdown", "shut off", "crashed"];
  expect(found).toEqual(
    NAMES.map((name, i) => ({
      ...{ name, uuid: uuid(i), state: states[i], ...base },
      ...(marks[i] ? { [`${marks[i]}`]: true } : {}),
    })),
  );
});

test("none", async () => {
  expect(
    await domains(
      {},
      answering(() => ""),
    ),
  ).toEqual({ domains: [], total: 0 });
});

test("one that went away before its state was read", async () => {
  const fake = answering((verb) => (verb === "domstats" ? "" : `${uuid(1)} x\n`));
  expect((await domains({}, fake)).domains).toMatchObject([{ name: "x", state: "no state" }]);
});
