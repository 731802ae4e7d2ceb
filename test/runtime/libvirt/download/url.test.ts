/** Which URLs images may be downloaded from, and which addresses may be connected to. */
import { afterEach, describe, expect, test } from "vitest";
import { settings } from "../../../../runtime/core/settings.ts";
import { publicLookup } from "../../../../runtime/libvirt/download/address.ts";
import { assertListed, ImageUrl, redirected } from "../../../../runtime/libvirt/download/url.ts";

const { images } = settings();
const own = { ...images };
afterEach(() => {
  Object.assign(images, own);
});
const listing = (...hosts: string[]) => Object.assign(images, { hosts });

test.each([
  ["https://cloud.debian.org/a.qcow2", true],
  ["HTTP://EXAMPLE.org/a", true],
  ["http://[::1]:80/a", true],
  ["ftp://example.org/a", "must be a URL that begins with http:// or https://"],
  ["file:///etc/shadow", "must be a URL that begins with http:// or https://"],
  ["example.org/a", "must be a URL that begins with http:// or https://"],
  ["https://", "is no URL"],
  ["http://example.org:99999/", "is no URL"],
  ["https://me:secret@example.org/a", "must not hold a user or a password"],
  ["https://token@example.org/a", "must not hold a user or a password"],
])("%s", (url, expected) => {
  const { success, error } = ImageUrl.safeParse(url);
  expect(success || error?.issues[0]?.message).toBe(expected);
});

describe("hosts", () => {
  test.each([
    ["https://cloud.debian.org/a", true],
    ["http://cloud.debian.org/a", true],
    ["https://CLOUD.debian.org:443/a", true],
    ["https://cloud.debian.org:8443/a", false],
    ["http://cloud.debian.org:443/a", false],
    ["https://cloud.debian.org./a", false],
    ["https://evil-cloud.debian.org/a", false],
    ["https://cloud.debian.org.evil.org/a", false],
    ["https://a.mirror.example/a", true],
    ["https://a.b.mirror.example/a", true],
    ["https://mirror.example/a", false],
    ["https://evilmirror.example/a", false],
    ["http://10.0.0.5:8000/a", true],
    ["http://0xa000005:8000/a", true],
    ["http://10.0.0.5/a", false],
    ["http://[fd00:0::1]/a", true],
    ["http://[fd00::2]/a", false],
  ])("%s is listed: %s", (url, isListed) => {
    listing("cloud.debian.org", "*.mirror.example", "10.0.0.5:8000", "[fd00::1]");
    if (isListed) assertListed(new URL(url), "url");
    else expect(() => assertListed(new URL(url), "url")).toThrow(/^url: host .* is not in/);
  });

  test("none: the error tells the setting", () => {
    expect(() => assertListed(new URL("http://127.0.0.1:8000/a"), "url")).toThrow(
      'url: host 127.0.0.1:8000 is not in [images] hosts, which lists none; the server\'s hypersdk.toml allows it by: [images] hosts = ["127.0.0.1:8000"]',
    );
  });
});

describe("redirects", () => {
  test.each([
    ["/b", "https://a.example/b"],
    ["//b.example/c", "https://b.example/c"],
    ["https://b.example/c", "https://b.example/c"],
  ])("to %s", (location, expected) => {
    listing("a.example", "b.example");
    expect(redirected(new URL("https://a.example/a"), location, "url").href).toBe(expected);
  });

  test.each([
    ["http://b.example/c", /^url: redirects from https to http:\/\/b.example/],
    ["https://c.example/", /^url: redirects, and: host c.example is not in \[images\] hosts/],
    ["file:///etc/passwd", /^url: redirects to another URL, which must be a URL that begins/],
    ["https://me:pw@b.example/", /^url: redirects to another URL, which must not hold a user/],
    ["http://", /^url: redirects to another URL, which is no URL/],
  ])("never to %s", (location, expected) => {
    listing("a.example", "b.example");
    expect(() => redirected(new URL("https://a.example/a"), location, "url")).toThrow(expected);
  });
});

describe("addresses", () => {
  /** What a connection gets to a name that has these addresses. */
  const found = (...addresses: string[]) =>
    new Promise((resolve) => {
      const answers = addresses.map((address) => ({ address, family: 4 }));
      const system = (_name: string, _options: object, back: (...words: unknown[]) => void) =>
        back(null, answers);
      publicLookup("url", system as never)("a.example", { all: true }, (error, list) =>
        resolve(error?.message ?? list),
      );
    });

  test("a name leads to its public addresses alone", async () => {
    expect(await found("127.0.0.1", "1.1.1.1", "10.0.0.1")).toEqual([
      { address: "1.1.1.1", family: 4 },
    ]);
    expect(await found("127.0.0.1", "10.0.0.1")).toBe(
      "url: host a.example has a private address (127.0.0.1, 10.0.0.1); [images] private = true allows that, or its address in [images] hosts",
    );
    Object.assign(images, { private: true });
    expect(await found("127.0.0.1")).toEqual([{ address: "127.0.0.1", family: 4 }]);
  });
});
