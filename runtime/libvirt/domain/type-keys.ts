/** Presses keys of a running domain, as fast as QEMU takes them. */
import { setTimeout as sleep } from "node:timers/promises";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";

/** Those of virsh; `rfb` is the old name of `qnum`. */
export const CODESETS = [
  ...(["linux", "xt", "atset1", "atset2", "atset3", "os_x", "xt_kbd", "usb", "win32"] as const),
  ...(["qnum", "rfb"] as const),
] as const;

export interface Keystrokes {
  codeset: (typeof CODESETS)[number];
  /** How long QEMU holds each key, and waits after it. */
  holdMs?: number | undefined;
}

/** QEMU's queue has 1024 places, and drops silently what finds none; a key takes four of them. */
const KEYS_AT_ONCE = 64;

/** `chords`: keys that are pressed together, one after the other. Resolves when QEMU has pressed all but the last ones. */
export async function pressKeys(
  ctx: Context,
  ref: string,
  chords: string[][],
  { codeset, holdMs }: Keystrokes,
) {
  const options = ["--codeset", codeset, ...(holdMs ? ["--holdtime", `${holdMs}`] : [])];
  let waiting: string[][] = [];
  const press = async () => {
    const commands = waiting.map((keys) => ["send-key", "--domain", ref, ...options, ...keys]);
    await ctx.virsh.all(commands).catch(nameKeys(codeset, waiting.flat()));
  };
  for (const [i, chord] of chords.entries()) {
    waiting.push(chord);
    const keys = waiting.flat().length;
    const isLast = i === chords.length - 1;
    if (keys < KEYS_AT_ONCE && !isLast) continue;
    await press();
    waiting = [];
    if (!isLast) await sleep(keys * 2 * (holdMs ?? 0));
  }
}

const nameKeys = (codeset: string, keys: string[]) => (error: Error) => {
  const key = unknownKey(error.message, keys);
  if (key === undefined) throw error;
  const text = `keys: codeset ${codeset} has no key ${key}; linux has names such as KEY_A, KEY_ENTER and KEY_LEFTCTRL`;
  throw new HyperError("invalid_input", text, { cause: error });
};

/** virsh looks at all names before it sends the first key. Numbers are libvirtd's to look at, whose words are translated. */
function unknownKey(message: string, keys: string[]): string | undefined {
  const [, name] = /^invalid keycode: '(.*)'/.exec(message) ?? [];
  if (name !== undefined || !/\b(qnum|rfb)\b/.test(message)) return name;
  const numbers: string[] = message.match(/\d+/g) ?? [];
  return keys.find((key) => numbers.includes(key)) ?? numbers[0];
}

/** Throws `not_active` unless the domain's CPUs run: keys of one that is paused would be lost. */
export async function assertRunning(ctx: Context, ref: string, name: string) {
  const state = (await ctx.virsh(["domstate", "--domain", ref])).trim();
  if (state === "running" || state === "idle") return;
  throw new HyperError("not_active", `domain ${name} is not running, it is ${state}`);
}
