/** The heads of stored definitions: out of libvirt's files where these can be read, else from libvirtd. */
import { expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { log } from "../../../runtime/core/log.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { readDefinitionFiles } from "../../../runtime/libvirt/definition-files.ts";
import { readHeads } from "../../../runtime/libvirt/definition-heads.ts";
import type { Definition } from "../../../runtime/libvirt/definition-memory.ts";
import { readChanged } from "../../../runtime/libvirt/definitions.ts";
import { parseXml, textOf } from "../../../runtime/libvirt/xml.ts";
import { answering } from "../../fixtures/fake.ts";

const DOMAINS = ["a", "it's <b>", "c"].map((name, i) => ({
  name,
  uuid: `0000000${i}-0000-4000-8000-000000000000`,
}));
const definition = (i: number, title: string, metadata = "") =>
  `<domain type='qemu'>\n  <name>x</name>\n  <uuid>${DOMAINS[i]?.uuid}</uuid>\n  <title>${title}</title>\n  ${metadata}<memory>1</memory>\n  <os>\n    <type>hvm</type>\n  </os>\n  <devices>\n    <graphics passwd='secret'/>\n  </devices>\n</domain>\n`;

let hosts = 0;
/** Its files say "file", libvirtd says "libvirtd". `age`: of the files, in seconds. */
function hypervisor({ age = 10, code = 0 } = {}) {
  const texts = new Map(DOMAINS.map(({ name }, i) => [name, definition(i, "file")]));
  let version = 1;
  const fake = answering((verb, ...words) =>
    verb === "dumpxml"
      ? definition(
          DOMAINS.findIndex(({ uuid }) => uuid === words[1]),
          "libvirtd",
        )
      : "",
  );
  let processes = 0;
  const exec = async (argv: string[], { input = "" } = {}) => {
    const ok = (stdout: string, exitCode = 0) => ({ stdout, stderr: "", exitCode });
    if (argv[0] === "xargs") {
      processes++;
      const names = input.split("\0").map((path) => path.slice("/etc/libvirt/qemu/".length, -4));
      return ok(names.map((name) => `<!-- ${name} -->\n\n${texts.get(name)}`).join(""), code);
    }
    const rows = [...texts.keys()].map(
      (name) => `${name}.xml\0ff:8:${1000 - age}:${version}\0ext4\0`,
    );
    const lock = "driver.pid\0ff:8:1:1\0tmpfs\0";
    return ok(`1000\0/etc/libvirt/qemu\0${rows.join("")}\x000\0/run/libvirt/qemu\0${lock}\x000\0`);
  };
  const ctx = { ...fake, exec, log, uri: "qemu:///system", host: `heads ${hosts++}` };
  const context = ctx as unknown as Context;
  return {
    ...{ ctx: context, texts },
    change: () => version++,
    read: async () => readHeads(context, DOMAINS, await readDefinitionFiles(context)),
    /** Processes and commands since the last time. */
    asked: () => {
      const asked = [processes, fake.calls.length];
      processes = 0;
      fake.calls.length = 0;
      return asked;
    },
  };
}

const titles = (read: Awaited<ReturnType<typeof readHeads>>) =>
  read.map((one) =>
    one instanceof HyperError ? one.code : one.text.match(/<title>(.*)<\/title>/)?.[1],
  );
const ALL = (title: string) => DOMAINS.map(() => title);

test("all by one process, without what follows; then they are the same objects", async () => {
  const { read, asked } = hypervisor();
  const first = await read();
  expect(titles(first)).toEqual(ALL("file"));
  for (const one of first) {
    expect(one).toMatchObject({
      text: expect.stringMatching(/<type>hvm<\/type><\/os><\/domain>$/),
    });
    expect(one).not.toMatchObject({ text: expect.stringMatching(/secret|memory/) });
  }
  expect(asked()).toEqual([1, 0]);
  const second = await read();
  for (const [i, one] of second.entries()) expect(one).toBe(first[i]);
  expect(asked()).toEqual([0, 0]);
});

test("metadata of any kind is in them", async () => {
  const { read, texts } = hypervisor();
  const likeLibvirt = "\n  <memory>2</memory>\n  <os>\n  </os>\n  <devices>\n  </devices>";
  texts.set("a", definition(0, "file", `<metadata>${likeLibvirt}\n  </metadata>\n  `));
  const [head] = await read();
  const domain = parseXml(`${(head as Definition).text}`, "domain");
  expect(textOf(domain, "metadata", "memory")).toBe("2");
  expect(textOf(domain, "os", "type")).toBe("hvm");
  expect(domain.memory).toBeUndefined();
});

test("files that have changed are read again", async () => {
  const { read, asked, change, texts } = hypervisor();
  await read();
  asked();
  texts.set("a", definition(0, "new"));
  change();
  expect(titles(await read())).toEqual(["new", "file", "file"]);
  expect(asked()).toEqual([1, 0]);
});

test("no guard stands on them: it asks libvirtd, which does not see what a hand has changed", async () => {
  const { ctx, read, asked } = hypervisor();
  await read();
  asked();
  for (const option of ["--inactive", undefined] as const) {
    const uuids = DOMAINS.map(({ uuid }) => uuid);
    expect(titles(await readChanged(ctx, uuids, option))).toEqual(ALL("libvirtd"));
    expect(asked()).toEqual([0, 3]);
  }
});

test.each([
  ["files that have just changed", { age: 0 }, 0],
  ["files that cannot be read", { code: 123 }, 1],
])("libvirtd tells them: %s", async (_what, options, processes) => {
  const { read, asked } = hypervisor(options);
  expect(titles(await read())).toEqual(ALL("libvirtd"));
  expect(asked()).toEqual([processes, 3]);
});

test("libvirtd tells them where a file holds more than one definition, or another's", async () => {
  const { read, texts } = hypervisor();
  texts.set("a", definition(0, "file", `\n${definition(1, "forged")}\n  `));
  expect(titles(await read())).toEqual(ALL("libvirtd"));
  const other = hypervisor();
  other.texts.set("c", definition(1, "another's"));
  expect(titles(await other.read())).toEqual(["file", "file", "libvirtd"]);
});
