import { expect, test } from "vitest";
import { loginLimit, startLimit } from "../../../../runtime/hypervisor/ssh/sshd-limits.ts";
import type { SshTarget } from "../../../../runtime/hypervisor/ssh/target.ts";

const at = (host: string, jump?: SshTarget) => ({ host, port: 22, jump }) as SshTarget;
const inner = (jump: string) => at("10.0.0.2", at(jump));

test("logins are counted by the first hop, programs by the sshd that starts them", () => {
  expect(loginLimit(inner("one"), 4)).toBe(loginLimit(at("one"), 4));
  expect(loginLimit(inner("one"), 4)).not.toBe(loginLimit(inner("two"), 4));
  expect(startLimit(inner("one"), 4)).toBe(startLimit(inner("one"), 4));
  expect(startLimit(inner("one"), 4)).not.toBe(startLimit(at("one"), 4));
});

test("the same address behind another jump host is another host", () => {
  expect(startLimit(inner("one"), 4)).not.toBe(startLimit(inner("two"), 4));
  expect(startLimit(at("10.0.0.2"), 4)).not.toBe(startLimit(inner("one"), 4));
});
