/** The systems that libosinfo knows, with what each needs: out of its database on the hypervisor. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { unescapeXml } from "../xml.ts";

export const System = z.object({
  id: z.string().describe("its short name, such as debian12, which osinfo takes"),
  title: z.string(),
  family: z.string().nullable().describe("linux, winnt, freebsd …"),
  osinfo_id: z.string(),
  release_date: z.string().nullable(),
  end_of_life: z.string().nullable(),
  defaults: z
    .object({
      memory: z.number().nullable().describe("MiB"),
      vcpus: z.number().nullable(),
      disk_bytes: z.number().nullable(),
    })
    .describe("what its makers recommend, or at least need"),
});
export type System = z.output<typeof System>;

/** Lines of the files, each file's in their order. Names in other languages have an attribute. */
const READ = `for folder in /usr/share/osinfo/os /usr/local/share/osinfo/os /etc/osinfo/os; do
  [ -d "$folder" ] || continue
  there=1
  grep -rhE '<os id="|<short-id>|<name>|<family>|<release-date>|<eol-date>|<(minimum|recommended|ram|n-cpus|storage)>' "$folder"
done
[ -n "$there" ] || exit 3`;

/** Throws `unsupported` where the hypervisor has no such database. */
export async function readSystems(ctx: Pick<Context, "exec" | "host">): Promise<System[]> {
  const result = await ctx.exec(["sh", "-c", READ]);
  if (result.exitCode === 3) {
    const text = `hypervisor ${ctx.host} has no database of libosinfo; install its package "osinfo-db"`;
    throw new HyperError("unsupported", text);
  }
  if (result.exitCode > 1) throw programError("reading libosinfo's database", result);
  return parseSystems(result.stdout);
}

interface Facts {
  id: string;
  first: Map<string, string>;
}

export function parseSystems(text: string): System[] {
  const all: Facts[] = [];
  let need = "";
  for (const line of text.split("\n")) {
    const [, id] = line.match(/<os id="([^"]*)"/) ?? [];
    if (id !== undefined) all.push({ id, first: new Map() });
    const [, tag = "", value] = line.match(/<([\w-]+)>(?:([^<]*)<)?/) ?? [];
    if (tag === "minimum" || tag === "recommended") need = tag;
    const { first } = all.at(-1) ?? {};
    if (value === undefined || !first) continue;
    const key = /^(ram|n-cpus|storage)$/.test(tag) ? `${need} ${tag}` : tag;
    if (!first.has(key)) first.set(key, unescapeXml(value));
  }
  return all.flatMap(systemOf).sort((a, b) => (a.title < b.title ? -1 : 1));
}

function systemOf({ id: osinfo_id, first }: Facts): System[] {
  const id = first.get("short-id");
  if (id === undefined) return [];
  const need = (tag: string) => {
    const text = first.get(`recommended ${tag}`) ?? first.get(`minimum ${tag}`);
    return text === undefined ? null : Number(text);
  };
  const ram = need("ram");
  return [
    {
      ...{ id, title: first.get("name") ?? id, family: first.get("family") ?? null, osinfo_id },
      release_date: first.get("release-date") ?? null,
      end_of_life: first.get("eol-date") ?? null,
      defaults: {
        memory: ram === null ? null : Math.ceil(ram / 2 ** 20),
        vcpus: need("n-cpus"),
        disk_bytes: need("storage"),
      },
    },
  ];
}
