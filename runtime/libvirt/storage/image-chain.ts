/** Images and those below them, which are described one by one: an isolated qemu-img opens no other than its own. */
import { dirname, resolve } from "node:path";
import { type Exec, type ImageInfo, readImageInfo } from "./qemu-img.ts";

/**
 * Describes an image and those below it, from the top down, up to the first that `enter` refuses. Throws for one that
 * cannot be read.
 */
export async function readImageChain(
  exec: Exec,
  path: string,
  format: string,
  enter: (path: string) => Promise<boolean> = async () => true,
): Promise<ImageInfo[]> {
  const chain = new Map<string, ImageInfo>();
  let next: { path: string; format?: string | undefined } | undefined = { path, format };
  while (next && !chain.has(next.path) && (await enter(next.path))) {
    const info = await readImageInfo(exec, next.path, next.format);
    chain.set(next.path, info);
    const below: string | undefined = info["full-backing-filename"] ?? info["backing-filename"];
    next = below ? { path: localPath(below), format: info["backing-filename-format"] } : undefined;
  }
  return [...chain.values()];
}

/** The path that a name of QEMU's means, if it is one of a file; other names are as they are. */
function localPath(name: string): string {
  if (!name.startsWith("json:")) return name.replace(/^file:/, "");
  try {
    const node = JSON.parse(name.slice(5));
    return node.filename ?? node["file.filename"] ?? node.file?.filename ?? name;
  } catch {
    return name;
  }
}

/** The path of the file that holds an image's data, if that is another. */
export function dataFileOf(info: ImageInfo): string | undefined {
  const name = info["format-specific"]?.data?.["data-file"];
  return name && resolve(dirname(info.filename), name.replace(/^file:/, ""));
}
