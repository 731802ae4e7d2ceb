/** A drain judges every wish, also where it would do nothing. */
import { expect, test } from "vitest";
import { PROCESS } from "../../../../runtime/access/caller.ts";
import { rightsByName } from "../../../../runtime/access/domain-rights.ts";
import { log } from "../../../../runtime/core/log.ts";
import { unwatched } from "../../../../runtime/core/progress.ts";
import { drain } from "../../../../runtime/libvirt/migrate/drain.ts";
import { answering } from "../../../fixtures/fake.ts";

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";

test.each([true, false])("what excludes each other is refused, dry_run: %s", async (dry_run) => {
  const fake = answering((verb) =>
    verb === "list" ? `${UUID} vm\n` : `Name: vm\nUUID: ${UUID}\nState: running\nPersistent: yes\n`,
  );
  const { signal } = new AbortController();
  const ctx = {
    ...fake,
    host: "a",
    signal,
    log,
    progress: unwatched,
    caller: PROCESS,
    rights: rightsByName(PROCESS),
  };
  const results = await drain(ctx as never, {
    ...{ to: ["b"], concurrency: 1, live: true, copy_storage: "all", postcopy_after: 5, dry_run },
    ...{ persistent: true, undefine_source: true, tls: false, auto_converge: false },
  });
  expect(results).toMatchObject([
    { success: false, code: "invalid_input", error: expect.stringMatching(/^postcopy_after: /) },
  ]);
});
