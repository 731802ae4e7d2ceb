/** The bytes of a volume's file or device, as they are: an overlay's without those of its backing file. */
import type { BytePart, ByteStream, BytesOut } from "../../core/bytes.ts";
import { HyperError } from "../../core/errors.ts";
import { outputOf } from "../../hypervisor/byte-flow.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { parseXml, textOf } from "../xml.ts";
import { mayRead } from "./image-access.ts";
import { readStorage } from "./usage.ts";
import { assertImage, IMAGE_TIMEOUT_MS, parseVolume } from "./volume.ts";

/** Prints a part of a file. BusyBox's dd may not count bytes; its tail and head do. */
const PART = `if dd if=/dev/null of=/dev/null bs=512 iflag=skip_bytes,count_bytes skip=1 count=1 2>/dev/null
then exec dd if="$1" bs=256k iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none
else tail -c "+$(($2 + 1))" -- "$1" | head -c "$3"; fi`;

/** The same by libvirtd. virsh opens its output by a path, which has none where it is a socket, as sshd's can be. */
const THROUGH_LIBVIRT = `{ virsh -q -c "$LIBVIRT_DEFAULT_URI" vol-download --pool "$1" --vol "$2" --offset "$3" \\
  --length "$4" --file /dev/stdout; } | cat`;

/**
 * Throws `in_use` for a volume that a running domain may be writing to; so does the stream if one has meanwhile, unless
 * the caller looks at its end (`isLookedAt`).
 */
export async function volumeBytes(
  ctx: Context,
  pool: string,
  name: string,
  { isLookedAt = false } = {},
): Promise<BytesOut> {
  const { volume, size, changed } = await readState(ctx, pool, name);
  assertImage(volume, "volume");
  await assertQuiet(ctx, volume);
  const assertSame = async () => {
    const now = await readState(ctx, pool, name);
    await assertQuiet(ctx, volume);
    if (now.size === size && now.changed === changed) return;
    const text = `volume: ${name} was changed while it was read, so its bytes are torn; read it again`;
    throw new HyperError("in_use", text);
  };
  const isRead = volume.type !== "network" && (await mayRead(ctx, volume.path, "raw"));
  const words = isRead ? [PART, "sh", volume.path] : [THROUGH_LIBVIRT, "sh", pool, name];
  const parts = partsOf(ctx, words, size, `volume ${name}`);
  return {
    size,
    stream: async (part) => {
      const stream = await parts.stream(part);
      return isLookedAt ? stream : checked(stream, assertSame);
    },
    name,
    ...(changed && { version: `${changed}-${size}` }),
  };
}

/** The volume with its size in bytes, and the time of its last change where it has one. */
async function readState(ctx: Context, pool: string, name: string) {
  const definition = await ctx.virsh(["vol-dumpxml", "--pool", pool, "--vol", name]);
  const volume = parseVolume(pool, definition);
  const element = parseXml(definition, "volume");
  const size = Number(textOf(element, "physical") ?? volume.capacity_bytes);
  return { volume, size, changed: textOf(element, "target", "timestamps", "mtime") };
}

/** The same stream, which fails at its end if the check does. */
function checked(source: ByteStream, check: () => Promise<void>): ByteStream {
  const reader = source.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(out) {
        const { done, value } = await reader.read();
        if (!done) return out.enqueue(value);
        await check();
        out.close();
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** The same of a file or device that no pool has, which the login user must be able to read. */
export const fileBytes = (ctx: Context, path: string, size: number): BytesOut => ({
  ...partsOf(ctx, [PART, "sh", path], size, path),
  name: path.slice(path.lastIndexOf("/") + 1),
});

function partsOf(ctx: Context, words: string[], size: number, what: string) {
  return {
    size,
    async stream({ first, length }: BytePart = { first: 0, length: size }) {
      const argv = ["sh", "-c", ...words, `${first}`, `${length}`];
      const running = await ctx.spawn(argv, { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal });
      running.stdin.end();
      return outputOf(running, length, (result) =>
        programError(`reading ${what}, which is shorter by now`, result),
      );
    },
  };
}

/** Throws `in_use` for an image that a running domain may be writing to. */
export async function assertQuiet(
  ctx: Context,
  place: { path: string; pool: string | undefined; name: string },
  field = "volume",
) {
  const { disksUsing } = await readStorage(ctx);
  const writer = disksUsing(place).find((use) => use.running && use.writes);
  if (!writer) return;
  const text = `${field}: ${place.name} is used by the running domain ${writer.domain}, so its bytes would be torn; shut it down first`;
  throw new HyperError("in_use", text, { details: { domains: [writer.domain] } });
}
