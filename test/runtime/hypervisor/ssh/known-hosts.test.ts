/** Host keys: what the record says of one, as `ssh-keygen -F` finds it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  fingerprint,
  knownTypes,
  readKnownHosts,
  recordedName,
  type Verdict,
  verifyHostKey,
} from "../../../../runtime/hypervisor/ssh/known-hosts.ts";

const folder = mkdtempSync(join(tmpdir(), "hypersdk-known-"));
const file = join(folder, "known_hosts");
afterAll(() => rmSync(folder, { recursive: true }));

/** `type key`, as a record has it, by a short name. */
const keys: Record<string, string> = {};
beforeAll(() => {
  const kinds = { ed: "ed25519", other: "ed25519", ecdsa: "ecdsa", rsa: "rsa" };
  for (const [name, type] of Object.entries(kinds)) {
    const path = join(folder, name);
    execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "", "-f", path]);
    keys[name] = readFileSync(`${path}.pub`, "utf8").trim();
  }
});

const blob = (name: string) => Buffer.from(keys[name]?.split(" ")[1] ?? "", "base64");
/** `KEY` in a text stands for a key. */
const fill = (text: string) => text.replace(/\b(ed|other|ecdsa|rsa)$/gm, (name) => `${keys[name]}`);

function record(text: string) {
  writeFileSync(file, `${fill(text)}\n`);
  return readKnownHosts([file]);
}

const judge = (text: string, name = "ed", host = "kvm1", port = 22): Verdict =>
  verifyHostKey(record(text), host, port, blob(name));

/** Whether OpenSSH finds a line for this name. */
function found(name: string): boolean {
  try {
    return execFileSync("ssh-keygen", ["-F", name, "-f", file], { encoding: "utf8" }) !== "";
  } catch {
    return false;
  }
}

describe("the verdict", () => {
  test.each<[string, string, string, Verdict]>([
    ["the key on record", "kvm1 ed", "ed", "trusted"],
    ["another of its type", "kvm1 other", "ed", "changed"],
    ["only one of another type", "kvm1 rsa", "ed", "unknown"],
    ["several types, this among them", "kvm1 rsa\nkvm1 ecdsa\nkvm1 ed", "ecdsa", "trusted"],
    ["several types, changed", "kvm1 rsa\nkvm1 other", "ed", "changed"],
    ["two of one type, the second", "kvm1 other\nkvm1 ed", "ed", "trusted"],
    ["nothing of this host", "kvm2 ed", "ed", "unknown"],
    ["its authority alone", "@cert-authority kvm1 other", "ed", "authority"],
    ["an authority for many hosts", "@cert-authority *.example,kvm* other", "ed", "authority"],
    ["another host's authority", "@cert-authority kvm2 other", "ed", "unknown"],
    ["an authority beside its key", "@cert-authority * other\nkvm1 ed", "ed", "trusted"],
    ["an authority beside another key", "@cert-authority * rsa\nkvm1 other", "ed", "changed"],
    ["revoked", "@revoked kvm1 ed", "ed", "revoked"],
    ["revoked everywhere", "@revoked * ed", "ed", "revoked"],
    ["revoked wins, whatever the order", "kvm1 ed\n@revoked * ed", "ed", "revoked"],
    ["revoked elsewhere", "kvm1 ed\n@revoked kvm2 ed", "ed", "trusted"],
    ["another key revoked", "kvm1 ed\n@revoked kvm1 other", "ed", "trusted"],
    ["an authority is no host key", "@cert-authority * ed", "ed", "authority"],
    ["a marker that nobody knows", "@trusted kvm1 ed", "ed", "unknown"],
    ["a comment", "# kvm1 ed", "ed", "unknown"],
    ["nothing", "", "ed", "unknown"],
    ["half a line", "kvm1 ssh-ed25519", "ed", "unknown"],
    ["what is no key", "kvm1 ssh-ed25519 AAAA", "ed", "changed"],
  ])("%s", (_what, text, name, verdict) => {
    expect(judge(text, name)).toBe(verdict);
  });

  test.each<[string, string]>([
    ["spaces before", "  kvm1 ed"],
    ["tabs", "kvm1\ted"],
    ["Windows line ends", "kvm2 other\r\nkvm1 ed\r"],
  ])("lines with %s", (_what, text) => {
    writeFileSync(file, text.replace(/\bed\b/, `${keys.ed}`).replace("other", `${keys.other}`));
    expect(verifyHostKey(readKnownHosts([file]), "kvm1", 22, blob("ed"))).toBe("trusted");
  });

  test("a comment after the key", () => {
    writeFileSync(file, `kvm1 ${keys.ed} of the machine in the cellar\n`);
    expect(verifyHostKey(readKnownHosts([file]), "kvm1", 22, blob("ed"))).toBe("trusted");
  });
});

describe("names, as ssh-keygen -F finds them", () => {
  test.each<[string, string, number]>([
    ["kvm1", "kvm1", 22],
    ["kvm1,192.0.2.7", "192.0.2.7", 22],
    ["kvm1,192.0.2.7", "kvm2", 22],
    ["kvm1", "KVM1", 22],
    ["KVM1", "kvm1", 22],
    ["kvm1", "kvm1", 2222],
    ["[kvm1]:2222", "kvm1", 2222],
    ["[kvm1]:2222", "kvm1", 22],
    ["[kvm1]:2222,kvm1", "kvm1", 22],
    ["[2001:db8::7]:2222", "2001:db8::7", 2222],
    ["2001:db8::7", "2001:db8::7", 22],
    ["kvm*", "kvm17", 22],
    ["kvm?", "kvm1", 22],
    ["kvm?", "kvm17", 22],
    ["*.example.org", "kvm1.example.org", 22],
    ["*.example.org", "example.org", 22],
    ["*.example.org", "kvm1xexample.org", 22],
    ["*.example.org,!kvm1.example.org", "kvm1.example.org", 22],
    ["!kvm1.example.org,*.example.org", "kvm1.example.org", 22],
    ["!kvm1.example.org,*.example.org", "kvm2.example.org", 22],
    ["!kvm1", "kvm2", 22],
    ["[*.example.org]:2222", "kvm1.example.org", 2222],
    ["[kvm1]:*", "kvm1", 2222],
    ["*", "kvm1", 22],
    ["*", "kvm1", 2222],
    ["kvm+1", "kvm+1", 22],
    ["kvm(1)", "kvm(1)", 22],
  ])("%s and %s:%d", (names, host, port) => {
    const verdict = judge(`${names} ed`, "ed", host, port);
    expect(verdict === "trusted").toBe(found(recordedName(host, port)));
  });

  test("hashed, with and without a port", () => {
    record("kvm1 ed\nkvm1,192.0.2.7 rsa\n[kvm2]:2222 ecdsa\nKVM3 other");
    execFileSync("ssh-keygen", ["-q", "-H", "-f", file], { stdio: "ignore" });
    rmSync(`${file}.old`);
    expect(readFileSync(file, "utf8")).not.toMatch(/kvm\d/i);
    const entries = readKnownHosts([file]);
    const verdict = (host: string, port: number, name: string) =>
      verifyHostKey(entries, host, port, blob(name));
    expect(verdict("kvm1", 22, "ed")).toBe("trusted");
    expect(verdict("KVM1", 22, "rsa")).toBe("trusted");
    expect(verdict("192.0.2.7", 22, "rsa")).toBe("trusted");
    expect(verdict("kvm1", 22, "other")).toBe("changed");
    expect(verdict("kvm2", 2222, "ecdsa")).toBe("trusted");
    expect(verdict("kvm2", 22, "ecdsa")).toBe("unknown");
    expect(verdict("kvm4", 22, "ed")).toBe("unknown");
    expect(found("kvm1")).toBe(true);
  });

  test("what looks like a hash and is none", () => {
    for (const names of ["|1|", "|1|a|", "|1|a|b", "|2|a|b", "|1|a|b|c"]) {
      expect(judge(`${names} ed`)).toBe("unknown");
    }
  });
});

describe("the record", () => {
  test("several files count as one; those that are not there hold nothing", () => {
    const [first, second] = [join(folder, "first"), join(folder, "second")];
    writeFileSync(first, `kvm1 ${keys.ed}\n`);
    writeFileSync(second, `@revoked * ${keys.ed}\nkvm1 ${keys.rsa}\n`);
    const trusted = (files: string[], name: string) =>
      verifyHostKey(readKnownHosts(files), "kvm1", 22, blob(name));
    expect(trusted([first, join(folder, "absent")], "ed")).toBe("trusted");
    expect(trusted([first, second], "rsa")).toBe("trusted");
    expect(trusted([first, second], "ed")).toBe("revoked");
    expect(trusted([join(folder, "absent")], "ed")).toBe("unknown");
  });

  test("the types that a host is asked for", () => {
    const entries = record("kvm1 rsa\n* ecdsa\nkvm2 ed\n@cert-authority * other\n@revoked kvm1 ed");
    expect(knownTypes(entries, "kvm1", 22)).toEqual(["ssh-rsa", "ecdsa-sha2-nistp256"]);
    expect(knownTypes(entries, "kvm2", 22)).toEqual(["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    expect(knownTypes(record("kvm1 ed"), "kvm2", 22)).toEqual([]);
  });

  test("fingerprints are those of ssh-keygen -l", () => {
    for (const name of Object.keys(keys)) {
      const said = execFileSync("ssh-keygen", ["-lf", join(folder, `${name}.pub`)]).toString();
      expect(fingerprint(blob(name)).split(" ")[1]).toBe(said.split(" ")[1]);
    }
    expect(fingerprint(blob("rsa"))).toMatch(/^ssh-rsa SHA256:/);
  });
});
