/**
 * Queries over the inventory, by recursive descent:
 *
 *     query = all { OR all }      all = one { [AND] one }      one = NOT one | ( query ) | [field:]value
 *
 * A bare word is a part of the name, whatever its case, and has no wildcards. What is not known is neither true nor false, and so is its NOT:
 * a domain whose tags cannot be read is no domain without a tag.
 */
import { FIELDS, fieldNamed, type Test } from "./fields.ts";
import { queryError, type Token, tokensOf } from "./tokens.ts";
import type { Vm } from "./vm.ts";

export interface Query {
  text: string;
  /** True, false, or undefined where nobody knows. */
  test: Test;
  /** The fields that it names, by their first name. */
  fields: Set<string>;
}

const WANTED = 'a word, field:value, NOT or "("';
/** Deeper ones are refused, as no person writes them. */
const MAX_DEPTH = 50;

/** Throws `invalid_input`, which tells the position and what is allowed there. */
export function parseQuery(text: string): Query {
  const parser = new Parser(tokensOf(text), text.length);
  const test = parser.query(0);
  parser.end();
  return { text, test, fields: parser.fields };
}

/** Whether a domain of this hypervisor may match, before any is read. */
export const mayMatchHost = ({ test }: Query, host: string): boolean => test({ host }) !== false;

/** The domains that match, and those of which it is not known. */
export function select(query: Query, vms: Vm[]): { matching: Vm[]; unknown: Vm[] } {
  const matching: Vm[] = [];
  const unknown: Vm[] = [];
  for (const vm of vms) {
    const answer = query.test(vm);
    if (answer) matching.push(vm);
    else if (answer === undefined) unknown.push(vm);
  }
  return { matching, unknown };
}

class Parser {
  readonly fields = new Set<string>();
  readonly #tokens: Token[];
  readonly #length: number;
  #at = 0;

  constructor(tokens: Token[], length: number) {
    this.#tokens = tokens;
    this.#length = length;
  }

  query(depth: number): Test {
    const tests = [this.#all(depth)];
    while (this.#take("OR")) tests.push(this.#all(depth));
    return tests.length === 1 ? (tests[0] as Test) : either(tests);
  }

  end() {
    const token = this.#next;
    if (!token) return;
    if (token.kind === ")") throw queryError(token.at, 'there is no "(" for this ")"');
    throw queryError(token.at, `expected AND, OR or the end`);
  }

  get #next(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #take(kind: Token["kind"]): Token | undefined {
    const token = this.#next;
    if (token?.kind !== kind) return undefined;
    this.#at++;
    return token;
  }

  #all(depth: number): Test {
    const tests = [this.#one(depth)];
    for (;;) {
      const kind = this.#next?.kind;
      if (kind === "AND") this.#at++;
      else if (kind !== "term" && kind !== "NOT" && kind !== "(") break;
      tests.push(this.#one(depth));
    }
    return tests.length === 1 ? (tests[0] as Test) : every(tests);
  }

  #one(depth: number): Test {
    const token = this.#next;
    if (!token) throw queryError(this.#length, `the query ends where ${WANTED} is expected`);
    if (depth > MAX_DEPTH) throw queryError(token.at, `more than ${MAX_DEPTH} levels deep`);
    this.#at++;
    if (token.kind === "NOT") return not(this.#one(depth + 1));
    if (token.kind === "term") return this.#term(token);
    if (token.kind !== "(")
      throw queryError(
        token.at,
        `expected ${WANTED}, and not ${token.kind}; quotes make it a word`,
      );
    const inner = this.query(depth + 1);
    if (!this.#take(")")) throw queryError(token.at, 'this "(" is not closed');
    return inner;
  }

  #term({ at, field, value, isQuoted }: Token & { kind: "term" }): Test {
    if (field === undefined) {
      assertPlainWord(at, value, isQuoted);
      const part = value.toLowerCase();
      this.fields.add("name");
      return ({ name }) => name?.toLowerCase().includes(part);
    }
    const key = fieldNamed(field);
    if (!key) {
      const names = Object.keys(FIELDS).join(", ");
      throw queryError(at, `unknown field "${field}"; there are: ${names}; quotes make it a word`);
    }
    const { allowed = "", test } = FIELDS[key] ?? {};
    const made = test?.(value, isQuoted);
    if (!made) throw queryError(at, `${field}: ${JSON.stringify(value)} is not ${allowed}`);
    this.fields.add(key);
    return made;
  }
}

/** Throws for what looks like more than a part of a name: its NOT would be true of all domains. */
function assertPlainWord(at: number, value: string, isQuoted: boolean) {
  if (value === "") throw queryError(at, "an empty word is a part of every name");
  const [sign] = isQuoted ? [] : (/[*?<>=!:]/.exec(value) ?? []);
  if (!sign) return;
  const text = `a word without a field has no ${sign}; use name:… or another field, or quotes`;
  throw queryError(at, text);
}

/** False where one is false, true where all are true. */
const every =
  (tests: Test[]): Test =>
  (vm) => {
    let answer: boolean | undefined = true;
    for (const test of tests) {
      const one = test(vm);
      if (one === false) return false;
      if (one === undefined) answer = undefined;
    }
    return answer;
  };

/** True where one is true, false where all are false. */
const either =
  (tests: Test[]): Test =>
  (vm) => {
    let answer: boolean | undefined = false;
    for (const test of tests) {
      const one = test(vm);
      if (one === true) return true;
      if (one === undefined) answer = undefined;
    }
    return answer;
  };

const not =
  (test: Test): Test =>
  (vm) => {
    const answer = test(vm);
    return answer === undefined ? undefined : !answer;
  };
