/** What a call has beside when it runs as a job: what outlives the process that runs it. */

/** Where an operation notes what it makes, before it makes it. */
export interface JournalStore {
  save(resources: object[]): Promise<void>;
  /** The operation is complete; what it made stays, unless the job as a whole is undone. */
  complete(): Promise<void>;
  /** The operation was rolled back; nothing is left. */
  remove(): Promise<void>;
}

export interface JobScope {
  id: string;
  openJournal(host: string, operation: string): JournalStore;
  /** What its complete operations have made stays, whatever becomes of the job, which is not done again then. */
  keep(): Promise<void>;
  /** Resolves when the hypervisor has a place for one more copy, across all workers, to how to give it back. */
  takeCopyPlace(host: string, signal: AbortSignal): Promise<() => Promise<void>>;
}
