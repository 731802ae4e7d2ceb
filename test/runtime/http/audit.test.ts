/** The audit log: what is left out of it, and what happens when it cannot be written. */
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { redact } from "../../../runtime/core/redact.ts";
import {
  audit,
  auditFile,
  checkAudit,
  type Entry,
  openAudit,
} from "../../../runtime/http/audit.ts";
import { guarded } from "../../fixtures/access.ts";
import { allFunctions } from "../../fixtures/functions.ts";
import "../../fixtures/fake.ts"; // silences the log

const access = guarded();
Object.assign(process.env, access.env);
afterAll(access.remove);

const entry = (id: string, more: Partial<Entry> = {}): Entry => ({
  time: "2026-11-23T12:00:00.000Z",
  request_id: id,
  who: { kind: "token", name: "ci" },
  address: "127.0.0.1",
  function: "/libvirt/clone",
  host: "local",
  arguments: { name: "x" },
  result: "done",
  status: 200,
  duration_ms: 1,
  ...more,
});
const ids = () => access.audited().map(({ request_id }) => request_id);

describe("what is redacted", () => {
  test("the query of a URL", () => {
    const input = { url: "https://a.example/b?sig=1", texts: ["what? https://a.example/?x"] };
    const url = "https://a.example/b?[redacted]";
    expect(redact(input)).toEqual({ ...input, url });
  });

  test("values whose field says that they are secret, however deep, and the rest of long texts", () => {
    const long = "x".repeat(10_000);
    const input = {
      name: "web",
      customize: {
        root_password: "hunter2",
        run_commands: ["date"],
        ssh_authorized_keys: ["ssh-ed25519 A"],
      },
      cloud_init: {
        user_data: "#!/bin/sh",
        vendor_data: "x",
        write_files: [{ path: "/a", content: "y" }],
      },
      list: [{ apiToken: 1, PassPhrase: ["a"], private_key: null }],
      long,
    };
    const seen = redact(input);
    expect(seen).toEqual({
      name: "web",
      customize: {
        root_password: "[redacted]",
        run_commands: ["date"],
        ssh_authorized_keys: ["ssh-ed25519 A"],
      },
      cloud_init: {
        user_data: "[redacted]",
        vendor_data: "[redacted]",
        write_files: [{ path: "/a", content: "[redacted]" }],
      },
      list: [{ apiToken: "[redacted]", PassPhrase: "[redacted]", private_key: "[redacted]" }],
      long: `${"x".repeat(4096)}… (10000 characters)`,
    });
    expect(input.customize.root_password).toBe("hunter2");
  });

  test("a key like __proto__ is one like any other", () => {
    const seen = redact(JSON.parse('{"__proto__": {"a": 1}}'));
    expect(JSON.stringify(seen)).toBe('{"__proto__":{"a":1}}');
    expect(Object.getPrototypeOf(seen)).toBe(Object.prototype);
  });

  test("every field of every function that looks secret is", async () => {
    const schemas = (await allFunctions()).map(({ function: one }) => one?.spec.input.shape ?? {});
    const text = JSON.stringify(schemas, (key, value) => (key === "checks" ? undefined : value));
    const names = [...text.matchAll(/"(\w*(?:passw|secret|token)\w*)":/gi)].map(([, name]) => name);
    expect(names).toContain("root_password");
    for (const name of names)
      expect(redact({ [`${name}`]: "x" })).toEqual({ [`${name}`]: "[redacted]" });
  });
});

describe("the file", () => {
  test("is this user's alone, and gets a line for each", () => {
    openAudit();
    audit(entry("1"));
    audit(entry("2", { result: "failed", status: 500, code: "in_use", error: "no" }));
    expect(ids()).toEqual(["1", "2"]);
    expect(access.audited()[1]).toMatchObject({ code: "in_use", arguments: { name: "x" } });
  });

  test("that cannot be written stops changes; what waited is there when it can", () => {
    const file = auditFile();
    renameSync(file, `${file}.1`);
    mkdirSync(file);
    checkAudit(); // nobody knows yet
    audit(entry("3"));
    expect(() => checkAudit()).toThrow("nothing is changed");
    audit(entry("refused", { result: "refused" }));
    audit(entry("4"));
    rmSync(file, { recursive: true });
    checkAudit();
    expect(ids()).toEqual(["3", "4"]);
    renameSync(`${file}.1`, file);
    audit(entry("5"));
    expect(ids()).toEqual(["1", "2", "5"]);
  });

  test("that cannot be made is said at once", () => {
    rmSync(auditFile());
    mkdirSync(auditFile());
    expect(() => openAudit()).toThrow();
    rmSync(auditFile(), { recursive: true });
    appendFileSync(join(access.folder, "audit.jsonl"), "");
    expect(readFileSync(auditFile(), "utf8")).toBe("");
  });
});
