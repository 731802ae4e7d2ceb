/** Our Diffie-Hellman: its groups have the primes that Node has in a table, its secrets are those of Bun's own. */
import { createHash, createDiffieHellmanGroup as native } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  createDiffieHellman,
  createDiffieHellmanGroup,
} from "../../../../runtime/hypervisor/ssh/finite-field.ts";

/** SHA-256 of each prime, made by Node 20. */
const GROUPS: [string, string][] = [
  ["modp14", "1mQ295u9ay44wP-9B5vpBNJkFBXi5nFA4JRIvppgiQ4"],
  ["modp15", "SM-LCS-85DWdmHGr90-Y4lthYzeeqhXNkIfoAMbRxVw"],
  ["modp16", "TulRh2gryyMK0mqVIF9pIOhHCPYlGziUMpsJ7CORnjM"],
  ["modp17", "0b_m0JJc5-TaJitihhUUp3VeNYMeQp80PnuGSEhlfv0"],
  ["modp18", "OatP6rlQoxKPtxrMufw5ZdhXAS4IGZioWZbj6os8O88"],
];

describe.each(GROUPS)("%s", (name, digest) => {
  const group = createDiffieHellmanGroup(name);

  test("has Node's prime", () => {
    expect(createHash("sha256").update(group.getPrime()).digest("base64url")).toBe(digest);
    expect(group.getGenerator()).toEqual(Buffer.from([2]));
  });

  test("both sides make the same secret", () => {
    const other = createDiffieHellmanGroup(name);
    const secret = group.computeSecret(other.generateKeys());
    expect(other.computeSecret(group.generateKeys())).toEqual(secret);
  });
});

test("Bun's own Diffie-Hellman makes the same secret", () => {
  const [own, other] = [createDiffieHellmanGroup("modp14"), native("modp14")];
  const publicKey = other.generateKeys();
  const secret = other.computeSecret(own.generateKeys());
  expect(BigInt(`0x${own.computeSecret(publicKey).toString("hex")}`)).toBe(
    BigInt(`0x${secret.toString("hex")}`),
  );
});

test("two exchanges have different keys", () => {
  const [a, b] = [createDiffieHellmanGroup("modp14"), createDiffieHellmanGroup("modp14")];
  expect(a.generateKeys()).not.toEqual(b.generateKeys());
});

const prime = () => createDiffieHellmanGroup("modp14").getPrime();
const two = Buffer.from([2]);

test("a prime that the sshd chooses", () => {
  const [a, b] = [createDiffieHellman(prime(), two), createDiffieHellman(prime(), two)];
  expect(a.computeSecret(b.generateKeys())).toEqual(b.computeSecret(a.generateKeys()));
});

describe("what a hostile sshd sends is refused", () => {
  const minusOne = () => {
    const value = Buffer.from(prime());
    value[value.length - 1] = (value.at(-1) as number) - 1;
    return value;
  };
  test.each<[string, () => Buffer]>([
    ["nothing", () => Buffer.alloc(0)],
    ["0", () => Buffer.from([0])],
    ["1", () => Buffer.from([1])],
    ["-1", minusOne],
    ["the prime", prime],
    ["a long number", () => Buffer.alloc(20_000, 0xff)],
  ])("as its public key: %s", (_what, key) => {
    expect(() => createDiffieHellmanGroup("modp14").computeSecret(key())).toThrow(/out of range/);
    expect(() => createDiffieHellman(prime(), key())).toThrow(/out of range/);
  });

  test.each([64, 255, 1025, 30_000])("as the prime: one of %i bytes", (length) => {
    const text = new RegExp(`prime of ${length * 8} bits`);
    expect(() => createDiffieHellman(Buffer.alloc(length, 0xff), two)).toThrow(text);
  });
});
