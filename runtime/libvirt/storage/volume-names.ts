/**
 * The names of a pool's volumes. virsh tells them in a table alone, where each byte of a character that its C
 * library cannot print is `\xff`: of line separators, of characters newer than the library, of what is no
 * UTF-8. What such a name really is, the pool's folder tells.
 */
import type { Context } from "../../hypervisor/context.ts";
import { lines, unescapeTable } from "../virsh-output.ts";
import { parseXml, textOf } from "../xml.ts";

/** Those by which a volume can be asked for, and those that stay unknown, `\uFFFD` in the place of each byte. */
export async function readVolumeNames(
  ctx: Pick<Context, "virsh" | "exec">,
  pool: string,
): Promise<{ names: string[]; unreadable: string[] }> {
  const table = await ctx.virsh(["vol-list", "--pool", pool]);
  const rows = lines(table);
  const all = volumeNames(table);
  const isLost = (name: string, i: number) =>
    `${rows[i]}`.includes("\\xff") && name.includes("\uFFFD");
  const lost = all.filter(isLost);
  const names = all.filter((name, i) => !isLost(name, i));
  if (lost.length === 0) return { names, unreadable: [] };
  const known = new Set(names);
  const others = (await filesIn(ctx, pool)).filter((file) => !known.has(file));
  const like = lost.map(pattern);
  const found = others.filter((file) => like.some((one) => one.test(bytes(file))));
  const unreadable = lost.filter((_, i) => !found.some((file) => like[i]?.test(bytes(file))));
  return { names: [...names, ...found], unreadable };
}

/** The names of the files in a pool's folder, as far as they are UTF-8. */
async function filesIn({ virsh, exec }: Pick<Context, "virsh" | "exec">, pool: string) {
  const definition = parseXml(await virsh(["pool-dumpxml", "--pool", pool]), "pool");
  const folder = textOf(definition, "target", "path") ?? "";
  if (!folder.startsWith("/")) return [];
  const argv = ["find", "-H", folder, "-mindepth", "1", "-maxdepth", "1", "-printf", "%f\\0"];
  const { stdout } = await exec(argv);
  return stdout.split("\0").filter((file) => file && !file.includes("\uFFFD"));
}

const bytes = (text: string) => Buffer.from(text).toString("latin1");

/** Names whose bytes are these, with any other than ASCII in the place of each `\uFFFD`. */
function pattern(name: string): RegExp {
  const parts = name
    .split("\uFFFD")
    .map((part) => bytes(part).replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join("[\\x80-\\xff]")}$`, "s");
}

/**
 * The names in `vol-list`, whose rows are ` NAME   PATH`. Both columns may hold spaces; a path that ends in
 * the row's name settles where it begins.
 */
export function volumeNames(table: string): string[] {
  return lines(table).map((row) => {
    const text = unescapeTable(row.slice(1));
    for (let at = text.indexOf("   "); at >= 0; at = text.indexOf("   ", at + 1)) {
      const path = text.slice(at).trimStart();
      const name = path.slice(path.lastIndexOf("/") + 1);
      if (text.startsWith(name) && text.slice(name.length, text.length - path.length).trim() === "")
        return name;
    }
    return text.split(/ {3,}/)[0] ?? "";
  });
}
