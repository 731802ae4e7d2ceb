/** Which lane a command belongs to: what is not known as a read changes something. */
import { describe, expect, test } from "vitest";
import { laneOf } from "../../../runtime/hypervisor/lanes.ts";

describe("laneOf", () => {
  test.each([
    ["read", "list --all --uuid --name"],
    ["read", "dumpxml --domain x"],
    ["read", "net-dumpxml --network x"],
    ["read", "version --daemon"],
    ["read", "domifaddr --domain x"],
    ["read", "domifaddr --domain x --source lease"],
    ["agent", "domifaddr --domain x --source agent"],
    ["agent", "guestinfo --domain x"],
    ["agent", "domfsinfo --domain x"],
    ["read", "desc --domain x"],
    ["read", "metadata --domain x --uri http://x"],
    ["change", "desc --domain x --new-desc=--list"],
    ["change", "desc --domain x --title --new-desc y"],
    ["change", "metadata --domain x --uri http://x --set <a/>"],
    ["change", "metadata --domain x --uri http://x --remove"],
    ["change", "net-start --network x"],
    ["change", "domrename x y"],
    ["change", "something-libvirt-learns-later"],
  ])("%s: %s", (lane, command) => {
    expect(laneOf(command.split(" "))).toBe(lane);
  });

  test.each([
    "",
    "edit",
    "net-edit",
    "console",
    "quit",
    "exit",
    "cd",
    "connect",
    "event",
    "net-event",
    "list;quit",
    "list\n",
    "-q",
    "LIST",
    "'list'",
    "#",
  ])("%j is refused", (verb) => {
    expect(() => laneOf([verb])).toThrow("cannot run on a session");
  });
});
