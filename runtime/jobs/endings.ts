/** How a worker ends its jobs: those that end while others are written go together. */
import { setImmediate as turn } from "node:timers/promises";
import { redact } from "../core/redact.ts";
import type { Attempt } from "./attempt.ts";
import { type Ending, endJobs } from "./claim.ts";
import { insist } from "./insist.ts";
import type { Outcome } from "./perform.ts";

export class Endings {
  readonly #worker: string;
  #waiting: Ending[] = [];
  #writing: Promise<void> | undefined;

  constructor(worker: string) {
    this.#worker = worker;
  }

  get areWritten() {
    return this.#writing === undefined;
  }

  /** Resolves when it stands in the database, however long that is away. */
  async write({ job, number, progress, lines }: Attempt, { state, answer }: Outcome) {
    const input = redact(job.input);
    const rest = lines.splice(0); // no beat writes them a second time
    this.#waiting.push({ job, attempt: number, state, answer, progress, input, lines: rest });
    await turn(); // others that end now
    while (this.#writing) await this.#writing;
    const endings = this.#waiting.splice(0);
    if (endings.length === 0) return;
    this.#writing = insist(() => endJobs(endings, this.#worker)).finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }
}
