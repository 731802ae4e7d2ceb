/** The image of a seed as other programs read it, and its passwords as OpenSSL hashes them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { isoImage } from "../../../../runtime/libvirt/cloud-init/iso9660.ts";
import { isHashed, sha512Crypt } from "../../../../runtime/libvirt/cloud-init/sha512-crypt.ts";

const folder = mkdtempSync(join(tmpdir(), "seed-image-"));
afterAll(() => rmSync(folder, { recursive: true }));
const run = (program: string, ...argv: string[]) =>
  execFileSync(program, argv, { encoding: "utf8", stdio: ["pipe", "pipe", "pipe"], input: "" });

describe("an image", () => {
  const contents = {
    "user-data": `#cloud-config\n${"ü".repeat(3000)}\n`,
    "meta-data": "x".repeat(2048),
    "network-config": "version: 2\n",
    "vendor-data": "v",
  };
  const path = join(folder, "seed.iso");
  const files = Object.entries(contents).map(([name, text]) => ({
    name,
    content: Buffer.from(text),
  }));
  const date = new Date("2026-11-30T09:50:07Z");
  writeFileSync(path, isoImage("cidata", files, date));

  test("has the label and the files, with their own names in Rock Ridge and Joliet", () => {
    const described = run("isoinfo", "-d", "-i", path);
    expect(described).toMatch(/^Volume id: cidata$/m);
    expect(described).toMatch(/^Rock Ridge signatures version 1 found$/m);
    expect(described).toMatch(/^Joliet with UCS level 3 found$/m);
    const names = Object.keys(contents)
      .sort()
      .map((name) => `/${name}`);
    expect(run("isoinfo", "-R", "-f", "-i", path).trim().split("\n")).toEqual(names);
    expect(run("isoinfo", "-J", "-f", "-i", path).trim().split("\n")).toEqual(
      names.map((name) => `${name};1`),
    );
    expect(run("isoinfo", "-f", "-i", path)).toContain("/NETWORK_CONFIG.;1\n");
    for (const [name, text] of Object.entries(contents)) {
      expect(run("isoinfo", "-R", "-x", `/${name}`, "-i", path)).toBe(text);
      expect(run("isoinfo", "-J", "-x", `/${name};1`, "-i", path)).toBe(text);
    }
  });

  test("is whole for xorriso, which lists files for root alone", () => {
    const argv = ["-report_about", "WARNING", "-indev", path, "-check_media", "--", "-lsl", "/"];
    const listed = run("xorriso", ...argv);
    for (const [name, text] of Object.entries(contents))
      expect(listed).toMatch(
        new RegExp(`^-r-------- +1 0 +0 +${Buffer.byteLength(text)} Nov 30 .* '${name}'$`, "m"),
      );
    const out = join(folder, "out");
    run("xorriso", "-osirrox", "on", "-indev", path, "-extract", "/user-data", out);
    expect(execFileSync("cat", [out], { encoding: "utf8" })).toBe(contents["user-data"]);
  });

  test("is what blkid takes for a seed", () => {
    expect(run("blkid", "-o", "export", path)).toMatch(/^LABEL=cidata$[\s\S]*^TYPE=iso9660$/m);
  });

  test("more files than one directory has room for are an error", () => {
    const many = Array.from({ length: 40 }, (_, i) => ({
      name: `file-${i}`,
      content: Buffer.from("x"),
    }));
    expect(() => isoImage("x", many)).toThrow("these files have no place in one directory");
  });
});

describe("a password", () => {
  const lengths = [1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 250];
  test.each(lengths)("of %i bytes is hashed as OpenSSL does", (length) => {
    const password = "correct horse! ".repeat(20).slice(0, length);
    const theirs = execFileSync("openssl", ["passwd", "-6", "-salt", "s./9alt", "-stdin"], {
      encoding: "utf8",
      input: `${password}\n`,
    });
    expect(sha512Crypt(password, "s./9alt")).toBe(theirs.trim());
  });

  test("beyond ASCII too, and each time with another salt", () => {
    const input = "pässwörd😀\n";
    const argv = ["passwd", "-6", "-salt", "salt", "-stdin"];
    const theirs = execFileSync("openssl", argv, { encoding: "utf8", input });
    expect(sha512Crypt(input.trim(), "salt")).toBe(theirs.trim());
    expect(sha512Crypt("a")).not.toBe(sha512Crypt("a"));
  });

  test("that is a hash is known", () => {
    expect([sha512Crypt("a"), "$y$j9T$a$b", "$2b$10$abc", "$5$a$b"].every(isHashed)).toBe(true);
    expect(["secret", "$6$", "$1$a$b", "$6$a b", ""].some(isHashed)).toBe(false);
  });
});
