/** The thread in which a private key is decrypted, so that the others go on. key-files.ts starts it. */
import { parentPort } from "node:worker_threads";
import { decrypt } from "./key-decryption.ts";

parentPort?.once("message", ({ text, secret }: { text: string; secret: string }) => {
  try {
    parentPort?.postMessage({ decrypted: decrypt(text, secret) });
  } catch (error) {
    parentPort?.postMessage({ error: (error as Error).message });
  }
});
