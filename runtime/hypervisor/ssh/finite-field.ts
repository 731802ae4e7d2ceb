/**
 * Diffie-Hellman in finite fields, for an sshd that has no elliptic curves. Bun's own tests whether the prime is
 * one, which takes 0.4 s (2048 bits) to 26 s (8192 bits) of CPU and blocks the process; this takes 4 to 50 ms.
 * Sources: RFC 3526 (groups), RFC 4419 (primes that the sshd chooses), RFC 8268.
 */
import { randomBytes } from "node:crypto";

/** The size of each group's prime, and the number that RFC 3526 adds to π. */
const GROUPS: Record<string, [bits: number, added: number]> = {
  modp14: [2048, 124476],
  modp15: [3072, 1690314],
  modp16: [4096, 240904],
  modp17: [6144, 929484],
  modp18: [8192, 4743158],
};
const MIN_BITS = 2048;
const MAX_BITS = 8192;
/** Twice the strength of the strongest cipher. */
const EXPONENT_BYTES = 64;

/** What ssh2 needs of node:crypto's DiffieHellman. Each makes one key, for one exchange. */
export class FiniteField {
  #prime: bigint;
  #generator: bigint;
  #exponent = toNumber(randomBytes(EXPONENT_BYTES));

  /** Throws for numbers that an honest sshd does not send. */
  constructor(prime: bigint, generator: bigint) {
    const bits = prime.toString(2).length;
    if (bits < MIN_BITS || bits > MAX_BITS) {
      throw new Error(`the sshd chose a Diffie-Hellman prime of ${bits} bits`);
    }
    this.#prime = prime;
    this.#generator = this.#checked(generator);
  }

  generateKeys(): Buffer {
    return this.#power(this.#generator);
  }

  computeSecret(publicKey: Buffer): Buffer {
    return this.#power(this.#checked(toNumber(publicKey)));
  }

  getPrime = () => toBytes(this.#prime);
  getGenerator = () => toBytes(this.#generator);

  /** 0, 1 and -1 would make a secret that anybody knows. */
  #checked(value: bigint): bigint {
    if (value > 1n && value < this.#prime - 1n) return value;
    throw new Error("the sshd sent a Diffie-Hellman value that is out of range");
  }

  #power(base: bigint): Buffer {
    let result = 1n;
    for (const bit of this.#exponent.toString(2)) {
      result = (result * result) % this.#prime;
      if (bit === "1") result = (result * base) % this.#prime;
    }
    return toBytes(result);
  }
}

/** Stand in for the functions of node:crypto with these names. */
export const createDiffieHellman = (prime: Buffer, generator: Buffer) =>
  new FiniteField(toNumber(prime), toNumber(generator));

export function createDiffieHellmanGroup(name: string) {
  const [size, added] = GROUPS[name] ?? [];
  if (size === undefined || added === undefined) throw new Error(`no group ${name}`);
  const bits = BigInt(size);
  const middle = (pi(bits - 130n) + BigInt(added)) << 64n;
  return new FiniteField(2n ** bits - 2n ** (bits - 64n) - 1n + middle, 2n);
}

/** π · 2^bits, rounded down, by Machin's formula. */
function pi(bits: bigint): bigint {
  const guard = 64n;
  const one = 1n << (bits + guard);
  return (16n * arctan(one, 5n) - 4n * arctan(one, 239n)) >> guard;
}

/** The angle whose tangent is 1/n, in units of 1/one. */
function arctan(one: bigint, n: bigint): bigint {
  let power = one / n;
  let sum = 0n;
  for (let k = 1n; power > 0n; k += 2n) {
    sum += k % 4n === 1n ? power / k : -power / k;
    power /= n * n;
  }
  return sum;
}

const toNumber = (bytes: Buffer) => BigInt(`0x${bytes.toString("hex") || "0"}`);

function toBytes(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 ? `0${hex}` : hex, "hex");
}
