/** The house: a room of `runtime/` imports only rooms that stand above it in this table, and no files in a circle. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..");

/** Ground floor first. A folder that is not named here is a part of the room that it lies in. */
const ROOMS = [
  "core",
  "events",
  "store",
  "access",
  "notifications",
  "jobs",
  "hypervisor",
  "libvirt",
  "libvirt/stats",
  "libvirt/network",
  "libvirt/storage",
  "libvirt/download",
  "libvirt/cloud-init",
  "libvirt/domain",
  "libvirt/inventory",
  "libvirt/live",
  "libvirt/clone",
  "libvirt/create",
  "libvirt/devices",
  "libvirt/import",
  "libvirt/migrate",
  "http",
  "function",
  "alerts",
  "metrics",
  "console",
  "api",
  "web",
  "server",
  "client",
  "ui",
  "build",
  "dev",
  "cli",
  "program",
];
/** Beside the rooms, with what may import like the room of the same place in the table. */
const ENTRY = { "serve.ts": "server" };
/** The typed client is made of the functions' types, which are gone at run time. */
const NAMES_FUNCTIONS = ["client/api.ts"];

const files = readdirSync(join(ROOT, "runtime"), { recursive: true, encoding: "utf8" }).filter(
  (name) => /\.tsx?$/.test(name),
);

function roomOf(file: string): number {
  const folder = ENTRY[file as keyof typeof ENTRY] ?? dirname(file);
  return ROOMS.findLastIndex((room) => folder === room || folder.startsWith(`${room}/`));
}

/** The files of `runtime/` that a file imports, and those of `functions/`, as `../functions/…`. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(ROOT, "runtime", file), "utf8");
  const names = [...source.matchAll(/(?:from|import\(|require\()\s*"(\.[^"]+)"/g)];
  return names
    .map(([, name]) => join(dirname(file), `${name}`))
    .filter((name) => /\.tsx?$/.test(name));
}

test("every file stands in a room", () => {
  expect(files.filter((file) => roomOf(file) < 0)).toEqual([]);
  expect(
    readdirSync(join(ROOT, "runtime"))
      .filter((name) => name.includes("."))
      .sort(),
  ).toEqual(["README.md", ...Object.keys(ENTRY)]);
});

test("runtime/README.md has the same rooms in the same order", () => {
  const readme = readFileSync(join(ROOT, "runtime/README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `([a-z/-]+)\/` \| .+\. \|$/gm)].map(([, room]) => room);
  expect(rows).toEqual(ROOMS);
});

test("no import runs up", () => {
  const up = files.flatMap((file) =>
    importsOf(file)
      .filter((name) => !name.startsWith(".."))
      .filter((name) => roomOf(name) > roomOf(file))
      .map((name) => `${file} -> ${name}`),
  );
  expect(up).toEqual([]);
});

test("no files import each other in a circle", () => {
  const done = new Set<string>();
  const circles: string[][] = [];
  const walk = (file: string, path: string[]) => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file]);
    if (done.has(file) || path.includes(file)) return;
    for (const name of importsOf(file)) if (!name.startsWith("..")) walk(name, [...path, file]);
    done.add(file);
  };
  for (const file of files) walk(file, []);
  expect(circles).toEqual([]);
});

test("the runtime knows no function", () => {
  const known = files.filter(
    (file) =>
      !NAMES_FUNCTIONS.includes(file) && importsOf(file).some((name) => name.startsWith("../")),
  );
  expect(known).toEqual([]);
});

test("a runtime file has at most 200 lines", () => {
  const long = files.flatMap((file) => {
    const lines = readFileSync(join(ROOT, "runtime", file), "utf8").split("\n").length - 1;
    return lines > 200 ? [`${relative("", file)}: ${lines}`] : [];
  });
  expect(long).toEqual([]);
});
