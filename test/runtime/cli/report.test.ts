import { CommanderError } from "commander";
import { afterEach, expect, test, vi } from "vitest";
import { report, UsageError } from "../../../runtime/cli/report.ts";
import { HyperError } from "../../../runtime/core/errors.ts";

const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
afterEach(() => said.mockClear());

test.each([
  [new UsageError("no such field"), 2, "hypersdk: no such field"],
  [new HyperError("invalid_input", "bad name"), 2, "hypersdk: bad name"],
  [new HyperError("not_found", "no lan"), 1, "hypersdk: no lan (not_found)"],
  [new Error("broken"), 1, "hypersdk: broken"],
])("%s", (error, status, text) => {
  expect(report(error)).toBe(status);
  expect(said).toHaveBeenCalledWith(`${text}\n`);
});

test("as JSON, with its details", () => {
  const error = new HyperError("in_use", "used by vm", { details: { domain: "vm" } });
  expect(report(error, true)).toBe(1);
  expect(JSON.parse(`${said.mock.lastCall?.[0]}`)).toEqual({
    error: "used by vm",
    code: "in_use",
    domain: "vm",
  });
});

test("what commander has said is not said again", () => {
  expect(report(new CommanderError(1, "commander.unknownOption", "error: unknown option"))).toBe(2);
  expect(report(new CommanderError(0, "commander.helpDisplayed", "help"))).toBe(0);
  expect(said).not.toHaveBeenCalled();
});
