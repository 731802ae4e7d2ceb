/** What `GET /hosts` says of a login. */
import { expect, test } from "vitest";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { loginOf, readLogin } from "../../../runtime/libvirt/login.ts";

/** A hypervisor where the script prints this. */
function host(stdout: string, { uri = "qemu:///system", exitCode = 0 } = {}) {
  let asked = 0;
  const exec: Context["exec"] = async () => {
    asked++;
    return { stdout, stderr: exitCode ? "sh: Permission denied\n" : "", exitCode };
  };
  return { exec, host: "kvm1", uri, asked: () => asked };
}

test("root, with everything", async () => {
  const all = "0\nroot\nqemu-img\nvirt-sysprep\nvirt-customize\nscrub\n";
  expect(await readLogin(host(all))).toEqual({
    user: "root",
    root: true,
    sudo: false,
    reads_images: true,
    programs: { "qemu-img": true, "virt-sysprep": true, "virt-customize": true, scrub: true },
    cannot: [],
  });
});

test("another user, without some programs", async () => {
  const login = await readLogin(host("1000\noperator\nqemu-img\nscrub\n"));
  expect(login).toMatchObject({ user: "operator", root: false, reads_images: false });
  expect(login.programs).toMatchObject({ "qemu-img": true, "virt-sysprep": false });
  expect(login.cannot).toEqual([
    expect.stringMatching(
      /images and NVRAM that belong to root.*operator.*sudo = true in \[hosts.kvm1\]/,
    ),
    "seal templates: virt-sysprep is not installed",
    "customize what a template is deployed to: virt-customize is not installed",
  ]);
});

test("a user who cannot isolate qemu-img", async () => {
  const refused = { stdout: "", stderr: "unshare: unshare failed: Operation not permitted\n" };
  const { exec: script } = host("1000\noperator\nqemu-img\nvirt-sysprep\nvirt-customize\nscrub\n");
  const exec: Context["exec"] = async (argv) =>
    argv.includes("qemu-img") && argv.includes("--version")
      ? { ...refused, exitCode: 1 }
      : script(argv);
  const { cannot } = await readLogin({ exec, host: "kvm1", uri: "qemu:///system" });
  expect(cannot).toEqual([
    expect.stringMatching(/^open images and NVRAM/),
    expect.stringMatching(
      /^copy, convert and export images: .*namespaces.* must be root .*or user namespaces/,
    ),
  ]);
});

test("in a session all images are the user's own", async () => {
  const uri = "qemu+ssh://operator@kvm1/session?keyfile=/k";
  expect(await readLogin(host("1000\noperator\n", { uri }))).toMatchObject({ reads_images: true });
});

test("what cannot be asked is unknown, and asked again", async () => {
  const broken = host("", { exitCode: 126, uri: "qemu:///broken" });
  await expect(loginOf(broken)).rejects.toMatchObject({ code: "permission_denied" });
  await expect(loginOf(broken)).rejects.toThrow(/Permission denied/);
  expect(broken.asked()).toBe(2);
});

test("what is known is not asked again", async () => {
  const known = host("0\nroot\n", { uri: "qemu:///known" });
  expect(await loginOf(known)).toEqual(await loginOf(known));
  expect(known.asked()).toBe(1);
});
