/** The text of a new function and of its test: one virsh command, to be replaced by the real one. */
import type { Access } from "../access/caller.ts";
import { type Methods, methodsOf, methodText } from "../core/method.ts";

export interface NewFunction {
  /** Such as `/libvirt/domain/rename`. */
  path: string;
  method: Methods;
  access: Access;
  summary: string;
}

interface Kind {
  schema: string;
  verb: string;
  option: string;
  example: string;
}

/** The objects that a path may be about, by a word of the path; the command reads one of them. */
const KINDS: Record<string, Kind> = {
  domain: { schema: "DomainName", verb: "domstate", option: "--domain", example: "my-vm" },
  network: { schema: "NetworkName", verb: "net-info", option: "--network", example: "default" },
  pool: { schema: "PoolName", verb: "pool-info", option: "--pool", example: "default" },
};

const kindOf = (path: string) => path.split("/").find((word) => Object.hasOwn(KINDS, word));

/** The file in functions/. */
export function functionText({ path, method, access, summary }: NewFunction): string {
  const kind = kindOf(path);
  const sentence = summary[0]?.toLowerCase() + summary.slice(1);
  const methods = methodsOf({ method });
  const query = kind && methods.includes("GET") ? "?name=" : "";
  const literals = methods.map((one) => `"${one}"`).join(", ");
  const { imports, input, output, message, examples, run } = kind
    ? named(kind, KINDS[kind] as Kind)
    : UNNAMED;
  return `/** ${methodText({ method })} ${path}${query}: ${sentence}. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
${imports}
export default defineFunction({
  method: ${methods.length > 1 ? `[${literals}]` : literals},
  access: "${access}",
  summary: "${summary}",
  input: z.strictObject({${input}}),
  output: z.object({ ${output} }),
  message: ${message},
${examples}
  ${run}
});
`;
}

function named(kind: string, { schema, verb, option, example }: Kind) {
  const domain = kind === "domain"; // its name may be a number, which virsh would take for an ID
  const reference = domain ? "await domainRef(ctx, name)" : "name";
  const importRef = `import { domainRef } from "#runtime/libvirt/domain/domain.ts";\n`;
  return {
    imports: `${domain ? importRef : ""}import { ${schema} } from "#runtime/libvirt/names.ts";\n`,
    input: ` name: ${schema} `,
    output: "name: z.string(), output: z.string()",
    message: `({ name, output }) => \`${kind[0]?.toUpperCase()}${kind.slice(1)} \${name}: \${output}\``,
    examples: `  examples: [{ name: "${example}" }],\n`,
    run: `async run({ name }, ctx) {
    const output = await ctx.virsh(["${verb}", "${option}", ${reference}]);
    return { name, output: output.trim() };
  },`,
  };
}

const UNNAMED = {
  imports: "",
  input: "",
  output: "output: z.string()",
  message: "({ output }) => output",
  examples: "",
  run: `async run(_input, ctx) {
    return { output: (await ctx.virsh(["version"])).trim() };
  },`,
};

/** The file in test/functions/. */
export function testText({ path, method }: NewFunction): string {
  const kind = kindOf(path);
  const { verb, option } = kind ? (KINDS[kind] as Kind) : { verb: "version", option: "" };
  const up = "../".repeat(path.split("/").length); // functions/ is beside test/
  const [input, answer, words] = kind
    ? [`{ name: "x" }`, `{ name: "x", output: "text" }`, `"${verb}", "${option}", "x"`]
    : ["{}", `{ output: "text" }`, `"${verb}"`];
  const bad = kind
    ? `{}, { name: "" }, { name: "--all" }, { name: "a/b" }, { name: "x", more: 1 }`
    : `{ more: 1 }, { name: "x" }`;
  return `/** ${methodText({ method })} ${path} */
import { expect, test } from "vitest";
import call from "${up}functions${path}.ts";
import { answering } from "${up.slice("../".length)}fixtures/fake.ts";

test("runs its command and answers from its output", async () => {
  const fake = answering(() => "text\\n");
  expect(await call(${input}, fake)).toEqual(${answer});
  expect(fake.calls).toEqual([[${words}]]);
});

const BAD = [${bad}];
test.each(BAD)("%j is refused", async (input) => {
  const fake = answering(() => "");
  await expect(call(input as never, fake)).rejects.toMatchObject({ code: "invalid_input" });
  expect(fake.calls).toEqual([]);
});
`;
}
