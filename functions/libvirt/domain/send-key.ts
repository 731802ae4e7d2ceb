/** POST /libvirt/domain/send-key: press keys of a domain's keyboard, together or as a text. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { assertRunning, CODESETS, pressKeys } from "#runtime/libvirt/domain/type-keys.ts";
import { keysOf } from "#runtime/libvirt/domain/us-layout.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

const MAX_TYPING_MS = 120_000;
/** Slow enough for a guest that is emulated. */
const TYPING_HOLD_MS = 25;

const ALLOWED = "must be a key's name such as KEY_ENTER, or its number, up to 65535";
const Key = z.union(
  [z.int().min(0, ALLOWED).max(65535, ALLOWED), z.string().regex(/^[A-Za-z0-9_]{1,64}$/, ALLOWED)],
  ALLOWED,
);

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Press keys of a domain's keyboard",
  input: z
    .strictObject({
      name: DomainName,
      keys: z
        .array(Key)
        .min(1, "must name a key")
        .max(16, "at most 16 keys can be pressed at once")
        .optional()
        .describe("pressed together, in this order: names of the codeset, or numbers"),
      text: z
        .string()
        .min(1, "must not be empty")
        .max(1024, "at most 1024 characters")
        .optional()
        .describe("typed on a US keyboard, in place of keys"),
      codeset: z.enum(CODESETS).default("linux").describe("of the keys' names and numbers"),
      hold_ms: z
        .int()
        .min(1)
        .max(10_000)
        .optional()
        .describe("how long each key is held; QEMU's own is 100, that of a text 25"),
    })
    .refine(({ keys, text }) => (keys === undefined) !== (text === undefined), {
      error: "give either keys or text",
    })
    .refine(({ text, codeset }) => text === undefined || codeset === "linux", {
      path: ["codeset"],
      error: "is of keys; a text has its own",
    }),
  output: z.object({
    name: z.string(),
    keys: z.int().describe("how many keys were pressed, shift included"),
  }),
  message: ({ name, keys }) => `${keys} keys of domain ${name} pressed`,
  examples: [
    { name: "my-vm", keys: ["KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE"] },
    { name: "my-vm", text: "root\n" },
  ],

  async run({ name, keys, text, codeset, hold_ms }, ctx) {
    const chords = text === undefined ? [(keys ?? []).map(String)] : keysOf(text);
    const holdMs = hold_ms ?? (text === undefined ? undefined : TYPING_HOLD_MS);
    const pressed = chords.flat().length;
    if (text !== undefined && pressed * 2 * (holdMs ?? 0) > MAX_TYPING_MS) {
      const most = `typing takes longer than ${MAX_TYPING_MS / 1000} s; give a shorter text or hold_ms`;
      throw new HyperError("invalid_input", `text: ${most}`);
    }
    const ref = await domainRef(ctx, name);
    await assertRunning(ctx, ref, name);
    await pressKeys(ctx, ref, chords, { codeset, holdMs });
    return { name, keys: pressed };
  },
});
