/**
 * Live migrations in the middle of which something breaks, once of each kind; `npm run drill -- migrate` does five of
 * each, at random moments.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type JobHost, stopHosts } from "../../fixtures/live/jobs.ts";
import { STRIKES, startMover, strikeOnce } from "../../fixtures/live/moving.ts";
import { type Pair, startPair } from "../../fixtures/live/pair.ts";
import { slow } from "../../fixtures/slowness.ts";

const STATE = "/run/mover";
let pair: Pair;
let host: JobHost;
beforeAll(async () => {
  pair = await startPair();
  host = Object.assign(await startMover(pair, STATE), { state: STATE });
}, slow(90_000));
afterAll(async () => {
  await stopHosts();
  await pair.stop();
});

test.each(Object.keys(STRIKES))(
  "%s: one guest, whole, and nothing left",
  {
    timeout: slow(240_000),
  },
  async (strike) => {
    const round = await strikeOnce(pair, host, strike, { ms: 500, phase: /^migrating/ });
    host = round.host;
    console.log(strike, {
      at: round.at,
      runs: round.runs,
      ended: round.job.state,
      error: round.job.error?.error,
    });
    expect(round.at, "it was at work").toMatch(/^migrating/);
  },
);
