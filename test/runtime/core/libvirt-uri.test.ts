/** libvirt URIs of hypervisors behind SSH. */
import { expect, test } from "vitest";
import { isSsh, remoteUri, sshUriProblem } from "../../../runtime/core/libvirt-uri.ts";

test.each<[string, boolean]>([
  ["qemu+ssh://kvm1/system", true],
  ["qemu+libssh://kvm1/system", true],
  ["qemu+libssh2://kvm1/system", true],
  ["test+ssh://kvm1/default", true],
  ["qemu:///system", false],
  ["qemu+tls://kvm1/system", false],
  ["qemu+ssh:/kvm1", false],
])("%s: %s", (uri, is) => {
  expect(isSsh(uri)).toBe(is);
});

test.each<[string, string]>([
  ["qemu+ssh://root@kvm1:22/system?keyfile=/k", "qemu:///system"],
  ["qemu+ssh://kvm1/session", "qemu:///session"],
  ["test+ssh://kvm1/default", "test:///default"],
  ["xen+libssh2://kvm1/", "xen:///"],
])("%s is %s there", (uri, there) => {
  expect(remoteUri(uri)).toBe(there);
});

test("sshauth and no_tty are known, and say nothing that is not so anyway", () => {
  expect(sshUriProblem("qemu+ssh://kvm1/system?sshauth=privkey&no_tty=1")).toBeUndefined();
});

test.each<[string, RegExp]>([
  ["qemu+ssh:///system", /names no host: qemu\+ssh:\/\/HOST\/system/],
  ["qemu+ssh://root:secret@kvm1/system", /must hold no password; logins use keys/],
  ["qemu+ssh://kvm1:99999/system", /is not a URI/],
  ["qemu+ssh://kvm1/system?no_verify=1", /no_verify: host keys are always verified/],
  ["qemu+ssh://kvm1/system?no_verify=0", /no_verify: host keys are always verified/],
  ["qemu+ssh://kvm1/system?known_hosts_verify=ignore", /host keys are always verified/],
  [
    "qemu+ssh://kvm1/system?keyfiel=/k",
    /unknown parameter keyfiel; there are: keyfile, known_hosts/,
  ],
  ["qemu+ssh://kvm1/system?command=/bin/ssh", /unknown parameter command/],
])("%s is refused", (uri, problem) => {
  expect(sshUriProblem(uri)).toMatch(problem);
  expect(sshUriProblem(uri)).not.toMatch(/secret/);
});
