/**
 * The headers of qcow2 images, of many by one process. They tell what libvirt would take a command each to tell:
 * https://www.qemu.org/docs/master/interop/qcow2.html
 */
import { dirname, resolve } from "node:path";
import type { Context } from "../../hypervisor/context.ts";

/** qemu-img puts the header, its extensions and the backing file's name here; an image has more bytes than these. */
const HEADER_BYTES = 1024;
const MAGIC = "QFI\xfb";
const BACKING_FORMAT = 0xe2792aca;
const EXTERNAL_DATA = 4;

export interface Qcow2Head {
  capacity: number;
  /** Null for none; undefined for one that libvirt must tell. */
  backing: { path: string; format: string } | null | undefined;
  encrypted: boolean;
  hasDataFile: boolean;
}

/** Prints the first bytes of all files after each other. */
const HEADS = `xargs -0 head -q -c ${HEADER_BYTES} -- | base64`;
/** Prints a line for each file. */
const READABLE = `xargs -0 sh -c 'for f; do [ -r "$f" ]; echo $?; done' sh`;

/** In the order of the paths; undefined for a file that is no qcow2, or that the login user cannot read. */
export async function readQcow2Heads(
  { exec }: Pick<Context, "exec">,
  paths: string[],
): Promise<(Qcow2Head | undefined)[]> {
  const whole = await readHeads(exec, paths);
  if (whole) return whole;
  const { stdout } = await exec(["sh", "-c", READABLE], { input: paths.join("\0") });
  const codes = stdout.split("\n");
  const readable = paths.filter((_, i) => codes[i] === "0");
  const heads = await readHalves(exec, readable);
  return paths.map((_, i) => (codes[i] === "0" ? heads.shift() : undefined));
}

/** One of them may be shorter than a header. */
async function readHalves(exec: Context["exec"], paths: string[]): Promise<Heads> {
  const whole = await readHeads(exec, paths);
  if (whole) return whole;
  if (paths.length === 1) return [undefined];
  const middle = Math.ceil(paths.length / 2);
  const first = await readHalves(exec, paths.slice(0, middle));
  return [...first, ...(await readHalves(exec, paths.slice(middle)))];
}

type Heads = (Qcow2Head | undefined)[];

/** Undefined if one of them did not give a whole header. */
async function readHeads(exec: Context["exec"], paths: string[]): Promise<Heads | undefined> {
  if (paths.length === 0) return [];
  const { stdout } = await exec(["sh", "-c", HEADS], { input: paths.join("\0") });
  const bytes = Buffer.from(stdout, "base64");
  if (bytes.length !== paths.length * HEADER_BYTES) return undefined;
  return paths.map((path, i) =>
    parseHead(path, bytes.subarray(i * HEADER_BYTES, (i + 1) * HEADER_BYTES)),
  );
}

export function parseHead(path: string, head: Buffer): Qcow2Head | undefined {
  if (head.toString("latin1", 0, 4) !== MAGIC) return undefined;
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) return undefined;
  return {
    capacity: Number(head.readBigUInt64BE(24)),
    encrypted: head.readUInt32BE(32) !== 0,
    hasDataFile: version === 3 && (head.readUInt8(79) & EXTERNAL_DATA) > 0,
    backing: backingOf(path, head, version),
  };
}

function backingOf(path: string, head: Buffer, version: number): Qcow2Head["backing"] {
  const [at, length] = [Number(head.readBigUInt64BE(8)), head.readUInt32BE(16)];
  if (at === 0 || length === 0) return null;
  if (at + length > head.length) return undefined;
  const name = head.toString("utf8", at, at + length);
  const format = backingFormat(head, version === 3 ? head.readUInt32BE(100) : 72, at);
  // a name such as json:… or nbd:…, or a format that libvirt would have to find out
  if (!format || /^[\w+-]+:|[\uFFFD\0]/.test(name)) return undefined;
  return { path: resolve(dirname(path), name), format };
}

/** Extensions have a type, a length and data up to a multiple of 8 bytes; type 0 is the end. */
function backingFormat(head: Buffer, start: number, end: number): string | undefined {
  for (let at = start; at + 8 <= Math.min(end, head.length); ) {
    const [type, length] = [head.readUInt32BE(at), head.readUInt32BE(at + 4)];
    if (type === 0) return undefined;
    if (type === BACKING_FORMAT) return head.toString("latin1", at + 8, at + 8 + length);
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}
