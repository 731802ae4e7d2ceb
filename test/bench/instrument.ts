/** Adds a call of `__enter(file, name)` to the start of every function of a TypeScript source. */
import { type ESTree, parseSync } from "vite";

type Node = ESTree.Node & { start: number; end: number };

interface Insertion {
  at: number;
  text: string;
}

export function instrument(source: string, file: string): string {
  const { program, errors } = parseSync(file, source);
  if (errors[0]) throw new Error(`${file}: ${errors[0].message}`);
  const insertions: Insertion[] = [];
  visit(program as Node, undefined, (node, parent) => {
    if (!isFunction(node) || !node.body) return; // an overload, or a type, has no body
    const body = node.body as Node;
    const call = `__enter(${JSON.stringify(file)}, ${JSON.stringify(nameOf(node, parent))})`;
    if (body.type === "BlockStatement") insertions.push({ at: body.start + 1, text: `${call};` });
    else insertions.push({ at: body.start, text: `(${call}, ` }, { at: body.end, text: ")" });
  });
  insertions.sort((a, b) => b.at - a.at);
  let text = source;
  for (const { at, text: added } of insertions) text = text.slice(0, at) + added + text.slice(at);
  return text;
}

type FunctionNode = Node & { body?: unknown; id?: { name: string } | null };

function isFunction(node: Node): node is FunctionNode {
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);
}

/** Its own name, or that of the method, property or variable that it is the value of. */
function nameOf(node: FunctionNode, parent: Node | undefined): string {
  if (node.id) return node.id.name;
  const { key, id } = (parent ?? {}) as { key?: { name?: string }; id?: { name?: string } };
  return key?.name ?? id?.name ?? "(anonymous)";
}

function visit(node: Node, parent: Node | undefined, see: (node: Node, parent?: Node) => void) {
  see(node, parent);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child?.type === "string") visit(child as Node, node, see);
    }
  }
}
