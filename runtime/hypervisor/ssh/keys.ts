/** The ways to log in to a target: its key files, by themselves or through the ssh-agent, then the agent's other keys. */
import type { AnyAuthMethod } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import { type AgentKey, findInAgent, withOneKey } from "./agent.ts";
import { publicHalves, readKey } from "./key-files.ts";
import type { SshTarget } from "./target.ts";

export interface AuthMethods {
  methods: AnyAuthMethod[];
  /** The keys that are tried, for a message. */
  tried: string[];
  /** Why keys cannot be tried, for a message. */
  unusable: string[];
}

/** Throws `unreachable` if a required key cannot be used. */
export async function authMethods(target: SshTarget, alias: string): Promise<AuthMethods> {
  const { user: username, agent, identitiesOnly } = target;
  const auth: AuthMethods = { methods: [], tried: [], unusable: [] };
  const agentFailures = new Set<string>();
  for (const { path, required } of target.keys) {
    const key = await readKey(path, alias);
    if (key && !(key instanceof HyperError)) {
      auth.methods.push({ type: "publickey", username, key });
      auth.tried.push(path);
      continue;
    }
    const held = agent && (await heldByAgent(agent, path, agentFailures));
    if (held) {
      auth.methods.push({ type: "agent", username, agent: withOneKey(agent, held) });
      auth.tried.push(`${path} in the ssh-agent`);
    } else if (required) throw unusable(path, alias, key, agent);
    else if (key) auth.unusable.push(key.message);
  }
  auth.unusable.push(...agentFailures);
  if (agent && !identitiesOnly) {
    auth.methods.push({ type: "agent", username, agent });
    auth.tried.push("the ssh-agent");
  }
  return auth;
}

/** The agent's key for a file that cannot be used by itself; undefined when it has none or fails. */
async function heldByAgent(
  socket: string,
  path: string,
  failures: Set<string>,
): Promise<AgentKey | undefined> {
  const halves = publicHalves(path);
  if (halves.length === 0) return undefined;
  try {
    return await findInAgent(socket, halves);
  } catch (error) {
    failures.add(`the ssh-agent fails (${(error as Error).message})`);
    return undefined;
  }
}

function unusable(
  path: string,
  alias: string,
  key: HyperError | undefined,
  agent: string | undefined,
): HyperError {
  const text = key?.message ?? `hypervisor ${alias}: keyfile ${path} does not exist`;
  const cause = key?.cause;
  return new HyperError("unreachable", agent ? `${text}; the ssh-agent does not hold it` : text, {
    cause,
  });
}
