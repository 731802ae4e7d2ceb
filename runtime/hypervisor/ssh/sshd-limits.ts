/** What is under way at once at one sshd: more would only wait there for a processor, and be thrown out for it. */
import pLimit from "p-limit";
import type { SshTarget } from "./target.ts";

type Limit = ReturnType<typeof pLimit>;

/** Logins by the sshd of the first hop, which drops some when there are too many (MaxStartups). */
const logins = new Map<string, Limit>();
/** Programs that are being started, by the sshd that starts them: each is a login shell with its profile first. */
const starts = new Map<string, Limit>();

const limitOf =
  (limits: Map<string, Limit>, sshd: (target: SshTarget) => string) =>
  (target: SshTarget, atOnce: number) => {
    const limit = limits.get(sshd(target)) ?? pLimit(atOnce);
    limits.set(sshd(target), limit);
    return limit;
  };

const firstHop = ({ jump, host, port }: SshTarget): string =>
  jump ? firstHop(jump) : `${host}:${port}`;

/** Behind different jump hosts the same address means different hosts. */
const wholeWay = ({ jump, host, port }: SshTarget): string =>
  `${jump ? `${wholeWay(jump)} ` : ""}${host}:${port}`;

export const loginLimit = limitOf(logins, firstHop);
export const startLimit = limitOf(starts, wholeWay);
