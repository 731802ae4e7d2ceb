/**
 * The names of a pool's volumes. virsh lists them only in a table, where every byte of a character that its C
 * library cannot print becomes `\xff`: line separators, characters newer than the library, and bytes that are
 * not UTF-8. The pool's folder has the real names.
 */
import type { Context } from "../../hypervisor/context.ts";
import { lines, unescapeTable } from "../virsh-output.ts";
import { parseXml, textOf } from "../xml.ts";

/** Reads the names of volumes, and apart from them the unreadable ones, with `\uFFFD` in the place of each byte. */
export async function readVolumeNames(
  ctx: Pick<Context, "virsh" | "exec">,
  pool: string,
): Promise<{ names: string[]; unreadable: string[] }> {
  const table = await ctx.virsh(["vol-list", "--pool", pool]);
  const rows = lines(table);
  const listed = volumeNames(table);
  const isLost = (name: string, i: number) =>
    `${rows[i]}`.includes("\\xff") && name.includes("\uFFFD");
  const lost = listed.filter(isLost);
  const names = listed.filter((name, i) => !isLost(name, i));
  if (lost.length === 0) return { names, unreadable: [] };
  const readable = new Set(names);
  const others = (await filesIn(ctx, pool)).filter((file) => !readable.has(file));
  const patterns = lost.map(pattern);
  const recovered = others.filter((file) => patterns.some((regex) => regex.test(bytes(file))));
  const unreadable = lost.filter(
    (_, i) => !recovered.some((file) => patterns[i]?.test(bytes(file))),
  );
  return { names: [...names, ...recovered], unreadable };
}

/** Lists the files in a pool's folder whose names are UTF-8. */
async function filesIn({ virsh, exec }: Pick<Context, "virsh" | "exec">, pool: string) {
  const definition = parseXml(await virsh(["pool-dumpxml", "--pool", pool]), "pool");
  const folder = textOf(definition, "target", "path") ?? "";
  if (!folder.startsWith("/")) return [];
  const argv = ["find", "-H", folder, "-mindepth", "1", "-maxdepth", "1", "-print0"];
  const { stdout } = await exec(argv);
  const names = stdout.split("\0").map((path) => path.slice(path.lastIndexOf("/") + 1));
  return names.filter((file) => file && !file.includes("\uFFFD"));
}

const bytes = (text: string) => Buffer.from(text).toString("latin1");

/** Matches names, as bytes, that have any byte beyond ASCII in the place of each `\uFFFD`. */
function pattern(name: string): RegExp {
  const parts = name
    .split("\uFFFD")
    .map((part) => bytes(part).replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join("[\\x80-\\xff]")}$`, "s");
}

/**
 * Reads the names from `vol-list`, whose rows are ` NAME   PATH`. Both columns may hold spaces; the path ends in
 * the row's name, so the column boundary that makes this true is the right one.
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
