/** Fields that the database could not take are refused, before it is asked. */
import { expect, test } from "vitest";
import query from "../../../functions/jobs/query.ts";
import submit from "../../../functions/jobs/submit.ts";
import { PROCESS } from "../../../runtime/access/caller.ts";
import { inputError } from "../../../runtime/core/errors.ts";
import { prepareJob } from "../../../runtime/function/prepare-job.ts";

const problem = ({ spec }: typeof query | typeof submit, input: object) => {
  const { error } = spec.input.safeParse(input);
  return error && inputError(error).message;
};
const clone = { function: "/libvirt/clone", input: { source: "a", target: "b" } };

test.each(["0000-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+01:00"])(
  "%s is out of range",
  (time) => {
    expect(problem(submit, { ...clone, run_at: time })).toMatch(/^run_at: .* years 1 to 9999/);
    expect(problem(query, { since: time })).toMatch(/^since: must be in the years/);
    expect(problem(query, { until: time })).toMatch(/^until: must be in the years/);
  },
);

test.each(["2000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00+20:00"])(
  "%s is a time",
  (time) => {
    expect(problem(submit, { ...clone, run_at: time })).toBeUndefined();
    expect(problem(query, { since: time, until: time })).toBeUndefined();
  },
);

test.each([
  [{ jobs: [clone], host: "kvm1" }, /^host: does not go with jobs/],
  [{ jobs: [clone], idempotency_key: "k" }, /^idempotency_key: does not go with jobs/],
  [{ jobs: [clone], run_at: "2030-01-01T00:00:00Z" }, /^run_at: does not go with jobs/],
  [{ ...clone, output_dir: "/data" }, /^output_dir: goes with vm_path alone/],
  [{ vm_path: "a", input: {} }, /^input: does not go with vm_path/],
  [{ vm_path: "a/b/c" }, /^vm_path: must be a name, or host\/name/],
])("%j has a field that would count for nothing", (input, reason) => {
  expect(problem(submit, input)).toMatch(reason);
});

test.each([
  [{ vm_path: "a", host: "kvm9", output_dir: "/data" }, /^host: unknown hypervisor "kvm9"/],
  [{ vm_path: "kvm8/a", host: "kvm9", output_dir: "/data" }, /^host: unknown hypervisor "kvm8"/],
  [{ vm_path: "a" }, /^output_dir: /],
  [{ vm_path: "", output_dir: "/data" }, /^vm_path: /],
])("of %j, an error names the field that was given", async (input, reason) => {
  await expect(submit(input as never)).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(reason),
  });
});

test.each(["a\0b", "\ud800"])("%j is no text", async (text) => {
  expect(problem(submit, { ...clone, idempotency_key: text })).toMatch(/^idempotency_key: .* NUL/);
  expect(problem(submit, { jobs: [{ ...clone, idempotency_key: text }] })).toMatch(/^jobs.0.idem/);
  for (const field of ["domain", "who", "schedule"])
    expect(problem(query, { [field]: text })).toMatch(
      new RegExp(`^${field}: must not contain NUL`),
    );
  for (const field of ["function", "hosts"])
    expect(problem(query, { [field]: [text] })).toMatch(
      /^(function|hosts).0: must not contain NUL/,
    );
});

test.each([
  ["\0", /^input: /],
  ["/data/\ud800.img", /^input: must not contain NUL or half a character/],
])("an input with %j is no job's", async (path, reason) => {
  const input = { name: "a", pool: "default", source_path: path };
  const job = prepareJob({ caller: PROCESS }, { function: "/libvirt/volume/upload", input });
  await expect(job).rejects.toMatchObject({ code: "invalid_input", message: reason });
});
