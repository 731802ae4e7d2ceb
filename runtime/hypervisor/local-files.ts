/** Files of this machine that its transport writes. */
import { randomUUID } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TextFile } from "./transport.ts";

/** The file has lost its name before virsh reads it, so no other user can open it and nothing is left behind. */
export function putText(content: string | Uint8Array): TextFile {
  const name = join(tmpdir(), `hypersdk-${randomUUID()}`);
  const file = openSync(name, "wx+", 0o600);
  unlinkSync(name);
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  writeWhole(file, bytes);
  return { path: `/proc/${process.pid}/fd/${file}`, remove: () => closeSync(file) };
}

function writeWhole(file: number, bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at);
}

/** A file that the last name of the path is a link to is none of the caller's. */
export function overwrite(path: string, content: Uint8Array): boolean {
  let file: number;
  try {
    file = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return false; // it is another user's, or on another machine
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile() || status.size !== content.length) return false;
    writeWhole(file, content);
    return true;
  } finally {
    closeSync(file);
  }
}
