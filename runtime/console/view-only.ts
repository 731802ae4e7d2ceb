/**
 * What a viewer sends to a VNC server without keys, pointer and clipboard (RFC 6143, 7.5, and the extensions that noVNC
 * speaks). The rest decides what is shown, and passes.
 */
import { HyperError } from "../core/errors.ts";

const VERSION_BYTES = 12;
const [NONE, PASSWORD] = [1, 2];
const PASSWORD_BYTES = 16;
/** A longer message is none of those that are known here. */
const MAX_MESSAGE = 64 * 1024;

/** The length of the message that begins here; undefined while its head is not all there. */
function lengthOf(bytes: Buffer): number | undefined {
  const at = (offset: number, read: (offset: number) => number, one: (n: number) => number) =>
    bytes.length < offset + 2 ? undefined : one(read.call(bytes, offset));
  switch (bytes[0]) {
    case 0: // pixel format
      return 20;
    case 2: // encodings
      return at(2, bytes.readUInt16BE, (n) => 4 + 4 * n);
    case 3: // update request
    case 150: // continuous updates
      return 10;
    case 4: // key
      return 8;
    case 5: // pointer
      return 6;
    case 6: // clipboard; a negative length is that of the extended one
      return bytes.length < 8 ? undefined : 8 + Math.abs(bytes.readInt32BE(4));
    case 248: // fence
      return bytes.length < 9 ? undefined : 9 + (bytes[8] ?? 0);
    case 250: // power
      return 4;
    case 251: // desktop size
      return bytes.length < 7 ? undefined : 8 + 16 * (bytes[6] ?? 0);
    case 255: // QEMU's keys
      return bytes.length < 2 ? undefined : bytes[1] === 0 ? 12 : Number.NaN;
    default:
      return Number.NaN;
  }
}

/** Pixel format, encodings, update requests, continuous updates, fences. */
const PASSES = [0, 2, 3, 150, 248];

export function viewOnly() {
  let rest = Buffer.alloc(0);
  /** Lengths of the steps before the first message; the choice of security decides the next. */
  let steps: ("version" | "security" | "password" | "init")[] = ["version", "security", "init"];
  const take = (length: number): Buffer | undefined => {
    if (rest.length < length) return undefined;
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
  const next = (): Buffer | undefined => {
    const [step] = steps;
    if (step === undefined) return take(messageLength(rest));
    const taken = take(
      step === "version" ? VERSION_BYTES : step === "password" ? PASSWORD_BYTES : 1,
    );
    if (!taken) return undefined;
    steps = steps.slice(1);
    if (step === "security" && taken[0] === PASSWORD) steps = ["password", ...steps];
    if (step === "security" && taken[0] !== PASSWORD && taken[0] !== NONE) throw unknown();
    if (step === "version" && taken.toString("latin1") !== "RFB 003.008\n") throw unknown();
    return step === "init" ? Buffer.from([1]) : taken; // shared, or the others would be thrown out
  };
  return (bytes: Uint8Array): Uint8Array => {
    rest = Buffer.concat([rest, bytes]);
    const passed: Buffer[] = [];
    for (;;) {
      const isMessage = steps.length === 0;
      const one = rest.length === 0 ? undefined : next();
      if (!one) return Buffer.concat(passed);
      if (!isMessage || PASSES.includes(one[0] ?? -1)) passed.push(one);
    }
  };
}

function messageLength(rest: Buffer): number {
  const length = lengthOf(rest) ?? rest.length + 1;
  if (Number.isNaN(length) || length > MAX_MESSAGE) throw unknown();
  return length;
}

const unknown = () =>
  new HyperError("unsupported", "who only watches may send VNC 3.8 without extensions");
