/** What is hidden in what is kept or shown. */
import { expect, test } from "vitest";
import { redact } from "../../../runtime/core/redact.ts";

test("headers, webhook URLs, and the users and queries of URLs are hidden", () => {
  const given = {
    webhook: { url: "https://u:p@ops.example.com/hook?key=1", headers: { "X-Key": "2" } },
    slack: { webhook_url: "https://hooks.slack.com/services/T/B/X" },
    source: "http://mirror.example.com/a.qcow2",
    secret: "whsec_1",
  };
  expect(redact(given)).toEqual({
    webhook: { url: "https://ops.example.com/hook?[redacted]", headers: "[redacted]" },
    slack: { webhook_url: "[redacted]" },
    source: "http://mirror.example.com/a.qcow2",
    secret: "[redacted]",
  });
});

test("what is typed into a guest is hidden", () => {
  expect(redact({ name: "vm", text: "hunter2\n" })).toEqual({ name: "vm", text: "[redacted]" });
});

test("a text that is no URL stays", () => {
  for (const text of ["a?b", "see https://x/?a=b", "", "qemu:///system?a=b"])
    expect(redact(text)).toBe(text);
});
