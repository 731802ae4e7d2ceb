/** Watching the domains of a hypervisor that cannot be reached: whoever watches is told why. */
import { afterAll, expect, test } from "vitest";
import { log } from "../../../../runtime/core/log.ts";
import { closeHypervisors } from "../../../../runtime/hypervisor/registry.ts";
import { watchDomains } from "../../../../runtime/libvirt/live/watch.ts";

log.level = "silent";
process.env.LIBVIRT_DEFAULT_URI = "test:///no/such/file.xml";
afterAll(() => closeHypervisors());

test("the reason comes in the place of the list, once", async () => {
  const end = new AbortController();
  const source = watchDomains(["local"], () => true, end.signal)[Symbol.asyncIterator]();
  const { value } = await source.next();
  expect(value?.data).toMatchObject({ host: "local", whole: false, domains: [] });
  expect(value?.data.error).toBeTruthy();
  const again = source.next();
  const quiet = new Promise((resolve) => setTimeout(() => resolve("quiet"), 500));
  expect(await Promise.race([again, quiet])).toBe("quiet");
  end.abort();
  expect((await again).done).toBe(true);
});
