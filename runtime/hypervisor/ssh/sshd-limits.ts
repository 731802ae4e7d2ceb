/** What is under way at once at one sshd: more would only wait there for a processor, and be thrown out for it. */
import pLimit from "p-limit";

type Limit = ReturnType<typeof pLimit>;

/** Logins by the sshd of the first hop, which drops some when there are too many (MaxStartups). */
const logins = new Map<string, Limit>();
/** Programs that are being started, by the sshd that starts them: each is a login shell with its profile first. */
const starts = new Map<string, Limit>();

const limitOf = (limits: Map<string, Limit>) => (sshd: string, atOnce: number) => {
  const limit = limits.get(sshd) ?? pLimit(atOnce);
  limits.set(sshd, limit);
  return limit;
};

export const loginLimit = limitOf(logins);
export const startLimit = limitOf(starts);
