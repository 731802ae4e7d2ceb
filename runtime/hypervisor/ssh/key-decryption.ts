/** Decrypts a private key whose passphrase takes long to check: `ssh-keygen -a 500` makes it 7 s of CPU. */
import { createPrivateKey } from "node:crypto";
import ssh2 from "./ssh2.ts";

/** The same key in a file that is not encrypted. Throws ssh2's error. */
export function decrypt(text: string, secret: string): string {
  const parsed: ReturnType<typeof ssh2.utils.parseKey> = ssh2.utils.parseKey(text, secret);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (!key || key instanceof Error) throw key ?? new Error("the file holds no key");
  const pem = key.getPrivatePEM();
  return key.type === "ssh-ed25519" ? ed25519File(pem) : pem;
}

/** ssh2 writes an Ed25519 key in a form that it does not read. Source: OpenSSH, PROTOCOL.key. */
function ed25519File(pem: string): string {
  const { d = "", x = "" } = createPrivateKey(pem).export({ format: "jwk" });
  const [secret, own] = [Buffer.from(d, "base64url"), Buffer.from(x, "base64url")];
  const type = string("ssh-ed25519");
  const check = Buffer.alloc(8);
  const comment = string("");
  const parts = [check, type, string(own), string(Buffer.concat([secret, own])), comment];
  const length = Buffer.concat(parts).length;
  const padding = Buffer.from(Array.from({ length: (8 - (length % 8)) % 8 }, (_, i) => i + 1));
  const data = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    ...["none", "none", ""].map(string),
    Buffer.from([0, 0, 0, 1]),
    string(Buffer.concat([type, string(own)])),
    string(Buffer.concat([...parts, padding])),
  ]);
  const lines = data.toString("base64").match(/.{1,70}/g) ?? [];
  const armor = (word: string) => `-----${word} OPENSSH PRIVATE KEY-----`;
  return [armor("BEGIN"), ...lines, armor("END"), ""].join("\n");
}

function string(value: string | Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(value));
  return Buffer.concat([length, Buffer.from(value)]);
}
