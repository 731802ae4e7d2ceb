/** The keys of an ssh-agent, which signs with private keys that it never hands out. */
import type { Socket } from "node:net";
import type { BaseAgent, ParsedKey } from "ssh2";
import ssh2 from "./ssh2.ts";

const { OpenSSHAgent } = ssh2;
/** Until an agent must have listed its keys. */
const LIST_TIMEOUT_MS = 4000;

export type AgentKey = ParsedKey;

/** The first of the agent's keys that has one of these public halves. Rejects when the agent fails. */
export async function findInAgent(socket: string, halves: Buffer[]): Promise<AgentKey | undefined> {
  const keys = await list(socket);
  return keys.find((key) => halves.some((half) => half.equals(key.getPublicSSH())));
}

function list(socket: string): Promise<AgentKey[]> {
  const agent = new OpenSSHAgent(socket);
  const getStream = agent.getStream.bind(agent);
  agent.getStream = (done) =>
    getStream((error, stream) => {
      const socket = stream as Socket | undefined;
      socket?.setTimeout(LIST_TIMEOUT_MS, () => socket.destroy());
      done(error, stream);
    });
  return new Promise((resolve, reject) =>
    agent.getIdentities((error, keys) => {
      if (error) reject(error);
      else resolve(keys as AgentKey[]); // `OpenSSHAgent` has parsed them
    }),
  );
}

/** The agent, as one that holds this key alone: sshd counts each key that it is offered (MaxAuthTries). */
export function withOneKey(socket: string, key: AgentKey): BaseAgent {
  const agent = new OpenSSHAgent(socket);
  agent.getIdentities = (done) => done(undefined, [key]);
  return agent;
}
