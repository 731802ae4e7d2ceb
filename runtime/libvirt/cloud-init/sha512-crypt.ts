/**
 * Passwords as /etc/shadow has them: SHA-512 by Drepper's "SHA-crypt", which every libc of the last 15 years reads;
 * bcrypt and yescrypt are younger. npm's unixcrypt 3.0.4 is wrong for passwords of 64 bytes, and `openssl passwd` is a
 * process, which a hypervisor's server may not have.
 */
import { createHash, randomBytes } from "node:crypto";

const ROUNDS = 5000;
const DIGEST_BYTES = 64;
const ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HASH = /^\$(?:5|6|y|2[aby])\$[./A-Za-z0-9$=,]+$/;

/** Whether a password is a hash of crypt(3) already, as cloud-init knows them. */
export const isHashed = (password: string) => HASH.test(password);

export function sha512Crypt(password: string, salt = randomSalt()): string {
  const [secret, grain] = [Buffer.from(password), Buffer.from(salt)];
  const second = digest(secret, grain, secret);
  const mixed: Buffer[] = [secret, grain, repeated(second, secret.length)];
  for (let bits = secret.length; bits > 0; bits >>= 1) mixed.push(bits & 1 ? second : secret);
  let state = digest(...mixed);
  const p = repeated(digest(...Array<Buffer>(secret.length).fill(secret)), secret.length);
  const s = repeated(digest(...Array<Buffer>(16 + Number(state[0])).fill(grain)), grain.length);
  for (let round = 0; round < ROUNDS; round++) {
    const [first, last] = round % 2 === 1 ? [p, state] : [state, p];
    state = digest(first, ...(round % 3 === 0 ? [] : [s]), ...(round % 7 === 0 ? [] : [p]), last);
  }
  return `$6$${salt}$${encode(state)}`;
}

const randomSalt = () =>
  [...randomBytes(16)].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");

function digest(...parts: Buffer[]): Buffer {
  const hash = createHash("sha512");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Its bytes, again and again, up to a length. */
const repeated = (bytes: Buffer, length: number) => Buffer.alloc(length, bytes);

/** Three bytes, each 21 behind the one before, are four digits, the lowest first. */
function encode(bytes: Buffer): string {
  const digits = (value: number, count: number) =>
    Array.from({ length: count }, (_, i) => ALPHABET[(value >> (6 * i)) & 63]).join("");
  let text = "";
  let order = [0, 21, 42];
  for (let i = 0; i < 21; i++) {
    const [a = 0, b = 0, c = 0] = order.map((at) => bytes[at]);
    text += digits((a << 16) | (b << 8) | c, 4);
    order = [order[1] ?? 0, order[2] ?? 0, order[0] ?? 0].map((at) => at + 1);
  }
  return text + digits(bytes[DIGEST_BYTES - 1] ?? 0, 2);
}
