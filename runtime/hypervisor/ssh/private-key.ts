/** Opens private keys. An encrypted one is opened in a thread of its own, because that takes 0.3 s of CPU and more. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { ParsedKey } from "ssh2";
import { decrypt } from "./key-decryption.ts";
import ssh2 from "./ssh2.ts";

/** A key that takes longer is given up: `ssh-keygen -a` has no upper limit. */
const DECRYPT_TIMEOUT_MS = 60_000;

/** How an OpenSSH key file begins whose cipher is "none". Source: OpenSSH, PROTOCOL.key. */
const PLAIN = /^-----BEGIN OPENSSH PRIVATE KEY-----\s+b3BlbnNzaC1rZXktdjEAAAAABG5vbmU/;

export async function parsePrivateKey(text: string, secret?: string): Promise<ParsedKey | Error> {
  const encrypted = secret && /^-----BEGIN OPENSSH /.test(text) && !PLAIN.test(text);
  try {
    const plain = encrypted ? await decryptApart(text, secret) : text;
    const parsed: ParsedKey | ParsedKey[] | Error = ssh2.utils.parseKey(plain, secret);
    return Array.isArray(parsed) ? (parsed[0] as ParsedKey) : parsed;
  } catch (error) {
    return error as Error;
  }
}

async function decryptApart(text: string, secret: string): Promise<string> {
  const file = join(import.meta.dirname, "key-worker.ts");
  if (!existsSync(file)) return decrypt(text, secret); // a bundle is one file
  const worker = new Worker(file);
  const timer = setTimeout(() => worker.terminate(), DECRYPT_TIMEOUT_MS);
  const answer = new Promise<string>((resolve, reject) => {
    worker.once("message", ({ decrypted, error }: { decrypted?: string; error?: string }) =>
      decrypted === undefined ? reject(new Error(error)) : resolve(decrypted),
    );
    worker.once("error", reject);
    const late = `opening it takes longer than ${DECRYPT_TIMEOUT_MS / 1000} s`;
    worker.once("exit", () => reject(new Error(late)));
    worker.postMessage({ text, secret });
  });
  return answer.finally(() => {
    clearTimeout(timer);
    void worker.terminate();
  });
}
