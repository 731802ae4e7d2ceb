/** Makes a job of a call that was validated and is allowed. */
import { type Caller, checkHost } from "../access/caller.ts";
import type { DomainRights } from "../access/domain-rights.ts";
import { type Declaration, domainFields, selectionOf } from "../access/domain-scope.ts";
import { movesBytes } from "../core/bytes.ts";
import { HyperError } from "../core/errors.ts";
import { createContext } from "../hypervisor/context.ts";
import { aliasOf, hostKey } from "../jobs/host-key.ts";
import type { NewJob } from "../jobs/job.ts";
import { isStorableJson } from "../store/text.ts";
import { resolveSelection } from "./selection.ts";

/** What a job needs of a function's declaration. */
export interface JobDeclaration extends Declaration {
  job?: {
    reads?: string[];
    elsewhere?(input: object): { host: string; name: string }[];
  };
}

export interface JobCall {
  path: string;
  spec: JobDeclaration;
  host: string;
  /** As the caller gave it: the worker validates it again, and a schema's transformations are not repeatable. */
  given: object;
  /** The validated input. */
  input: object;
  caller: Caller;
  rights: DomainRights;
}

/** Throws `invalid_input` for a function that only reads: its answer is there sooner than a job. */
export async function newJob(call: JobCall): Promise<NewJob> {
  const { path, spec, host, given, input, caller } = call;
  if (spec.access === "read") {
    throw new HyperError("invalid_input", `function: ${path} only reads, so it is no job; call it`);
  }
  if (spec.scope === "server") {
    throw new HyperError("invalid_input", `function: ${path} is about the server itself; call it`);
  }
  if (!isStorableJson(given)) {
    throw new HyperError(
      "invalid_input",
      "input: must not contain NUL or half a character, which the database cannot keep",
    );
  }
  if (movesBytes(spec)) {
    const text = `${path} moves bytes between the caller and the hypervisor, so it is no job; call it`;
    throw new HyperError("invalid_input", `function: ${text}`);
  }
  const named = await Promise.all(
    domainFields(spec).fields.flatMap((field) => {
      const shared = spec.job?.reads?.includes(field) ?? false;
      const names = [(input as Record<string, unknown>)[field]].flat();
      return names.filter(isText).map(async (text) => {
        checkMachine(host, field, text);
        return { shared, ...(await find(caller, host, text)) };
      });
    }),
  );
  for (const text of await selectedNow(call)) {
    checkMachine(host, "select", text);
    named.push({ shared: false, ...(await find(caller, host, text)) });
  }
  const elsewhere = await Promise.all(
    (spec.job?.elsewhere?.(input) ?? []).map(
      async (other) => `${hostKey(other.host)}/${await nameOf(host, other.name)}`,
    ),
  );
  const keys = (kind: boolean) => [
    ...new Set(named.filter(({ shared }) => shared === kind).map(({ lock }) => lock)),
  ];
  const domains = [...new Set(named.map(({ name }) => name))];
  return {
    ...{ function: path, host: hostKey(host), input: given, submitter: caller, domains },
    locks: { exclusive: [...new Set([...keys(false), ...elsewhere])], shared: keys(true) },
  };
}

const isText = (value: unknown): value is string => typeof value === "string";

/** A worker of any machine may do the job of another hypervisor, and would take its own for this machine's. */
function checkMachine(host: string, field: string, text: string) {
  const alias = aliasOf(text);
  if (!text.includes("/") || hostKey(alias) === alias || alias === host) return;
  const why = `${text} is on this machine's own hypervisor, and the job may run on another machine`;
  throw new HyperError("invalid_input", `${field}: ${why}; give the job host "${alias}"`);
}

/** A batch names a domain of another hypervisor as `host/name`. */
async function find(caller: Caller, host: string, text: string) {
  const [name = "", alias = host] = text.split("/").reverse();
  checkHost(caller, alias);
  const found = await nameOf(alias, name);
  return {
    name: text.includes("/") ? `${alias}/${found}` : found,
    lock: `${hostKey(alias)}/${found}`,
  };
}

/**
 * What a query selects now, for the locks: the job selects anew when it begins. Where that cannot be known, or is nothing,
 * there is nothing to lock, and the job says so.
 */
async function selectedNow({ spec, host, input, caller, rights }: JobCall) {
  const query = selectionOf(spec, input);
  if (query === undefined) return [];
  const options = { host, signal: AbortSignal.timeout(SELECT_TIMEOUT_MS) };
  const ctx = createContext(options, { caller, rights });
  return resolveSelection(ctx, query).then(
    ({ domains }) => domains,
    () => [],
  );
}

/** What functions take for a domain beside its name. A number is a name: no function takes an ID. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const LOOK_TIMEOUT_MS = 3000;
const SELECT_TIMEOUT_MS = 10_000;

/** Locks are by name, so that a domain is the same one however a call names it. */
async function nameOf(host: string, name: string): Promise<string> {
  if (!UUID.test(name)) return name;
  const { virsh } = createContext({ host });
  const found = virsh(["domname", "--domain", name], { timeout: LOOK_TIMEOUT_MS });
  return found.then(
    (text) => text.trim() || name,
    (error) => {
      if (error instanceof HyperError && error.code === "not_found") return name; // the job will say so
      throw error; // under another name the lock would be another one, too
    },
  );
}
