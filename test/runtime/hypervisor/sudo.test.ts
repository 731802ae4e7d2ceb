/** What sudo says when it does not run a program, told from what the program says. */
import { expect, test } from "vitest";
import { asRoot, sudoError } from "../../../runtime/hypervisor/sudo.ts";

const judge = (stderr: string, exitCode = 1) =>
  sudoError(["qemu-img", "info"], { stdout: "", stderr, exitCode }, "kvm1");

test("an argv, never a shell", () => {
  expect(asRoot(["printf", "%s", "a b; c"])).toEqual([
    "sudo",
    "-n",
    "--",
    "printf",
    "%s",
    "a b; c",
  ]);
});

test.each([
  "sudo: a password is required\n",
  "sudo: a terminal is required to read the password; either use the -S option to read from standard input\nsudo: a password is required\n",
  "sudo: sorry, you must have a tty to run sudo\n",
  "sudo: interactive authentication is required\n",
  "sudo: unable to resolve host kvm1: Name or service not known\nsudo: a password is required\n",
  "operator is not in the sudoers file.\n",
  "operator is not in the sudoers file.  This incident will be reported.\n",
  "Sorry, user operator is not allowed to execute '/usr/bin/qemu-img info' as root on kvm1.\n",
  "Sorry, user operator may not run sudo on kvm1.\n",
  "operator is not allowed to run sudo on kvm1.  This incident will be reported.\n",
])("%j is a refusal", (stderr) => {
  expect(judge(stderr)).toMatchObject({
    code: "permission_denied",
    message: expect.stringMatching(
      /^hypervisor kvm1: sudo -n does not run qemu-img \(.+\); .*NOPASSWD/,
    ),
  });
});

test("a program that is missing", () => {
  expect(judge("sudo: qemu-img: command not found\n")).toMatchObject({
    code: "unsupported",
    message: "qemu-img is not installed on hypervisor kvm1",
  });
});

test.each<[string, string, number]>([
  ["success", "", 0],
  ["success with a warning", "sudo: unable to resolve host kvm1: Name or service not known\n", 0],
  ["the program's failure", "qemu-img: Could not open 'x': No such file or directory\n", 1],
  ["another exit code", "sudo: a password is required\n", 2],
  [
    "a failure after a warning",
    "sudo: unable to resolve host kvm1: Name or service not known\nqemu-img: Could not open 'x'\n",
    1,
  ],
])("%s is none", (_what, stderr, exitCode) => {
  expect(judge(stderr, exitCode)).toBeUndefined();
});
