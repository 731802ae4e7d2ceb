/**
 * Names, metadata and the kind of machine of the stored definitions of domains: out of libvirt's own files, of all
 * domains by one process, where asking libvirtd costs a command each. They are for lists and metrics. No guard stands
 * on them, as libvirtd does not know what a hand has changed in its files.
 */
import { chunks } from "../core/chunks.ts";
import type { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { type DefinitionFiles, STORED } from "./definition-files.ts";
import { type Definition, recall, remember } from "./definition-memory.ts";
import { readChanged } from "./definitions.ts";

interface Domain {
  uuid: string;
  name: string;
}

const FILES_PER_PROCESS = 500;
const END = /^<\/domain>\n/m;

/**
 * In the order of the domains. It is the whole definition, as libvirtd tells it, of a domain whose file has just
 * changed, or cannot be read.
 */
export async function readHeads(
  ctx: Context,
  domains: Domain[],
  identityOf: DefinitionFiles,
): Promise<(Definition | HyperError)[]> {
  const read = new Map<string, Definition | HyperError>();
  const unread = () => domains.filter(({ uuid }) => !read.has(uuid));
  for (const { uuid, name } of domains) {
    const { definition, identity } = recall(ctx, uuid, "head") ?? {};
    if (definition && identity === identityOf(name, "--inactive")) read.set(uuid, definition);
  }
  const inFiles = unread().filter(({ name }) => identityOf(name, "--inactive"));
  for (const part of chunks(inFiles, FILES_PER_PROCESS)) {
    const heads = await readFiles(ctx, part);
    part.forEach(({ uuid, name }, i) => {
      const text = heads[i];
      if (!text?.includes(`<uuid>${uuid}</uuid>`)) return; // it was made anew meanwhile
      const definition = { text };
      remember(ctx, uuid, "head", { definition, identity: identityOf(name, "--inactive") });
      read.set(uuid, definition);
    });
  }
  const rest = unread().map(({ uuid }) => uuid);
  const whole = await readChanged(ctx, rest, "--inactive", identityOf);
  return domains.map(({ uuid }) => read.get(uuid) ?? (whole.shift() as Definition | HyperError));
}

/** The heads in these files; none if one of them cannot be read, or holds a line that ends a definition. */
async function readFiles({ exec }: Context, domains: Domain[]): Promise<string[]> {
  const input = domains.map(({ name }) => `${STORED}/${name}.xml`).join("\0");
  const { stdout, exitCode } = await exec(["xargs", "-0", "cat", "--"], { input });
  const texts = stdout.split(END).slice(0, -1);
  if (exitCode !== 0 || texts.length !== domains.length) return [];
  return texts.map(headIn);
}

/**
 * libvirt has names and metadata, then sizes, `<os>` and devices, and indents what it writes. A hand may have indented
 * metadata likewise; all other text is escaped. Parsing the rest would take most of the time of a scrape.
 */
function headIn(text: string): string {
  const start = text.indexOf("\n<domain");
  const memory = text.indexOf("\n  <memory", text.lastIndexOf("\n  </metadata>"));
  const [os, end] = ["\n  <os", "\n  </os>"].map((mark) => text.lastIndexOf(mark));
  if ([start, memory, os, end].includes(-1)) return "";
  return `${text.slice(start, memory)}${text.slice(os, end)}</os></domain>`;
}
