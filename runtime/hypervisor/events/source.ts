/** Hears of one group of events of one hypervisor, and goes on after every loss. */
import { setTimeout as sleep } from "node:timers/promises";
import { HyperError, toHyperError } from "../../core/errors.ts";
import { log } from "../../core/log.ts";
import { publish, resync } from "../../events/hub.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { openHypervisor } from "../registry.ts";
import { virshOptions } from "../transport.ts";
import { virshMessages } from "../virsh-errors.ts";
import { eventLines } from "./lines.ts";
import { hypervisorEvent, lost } from "./loss.ts";
import { parse, type Reading } from "./parse.ts";
import { GROUPS, type Group, listeningArgv, READY } from "./script.ts";

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 30_000;
/** Until a libvirtd that takes a connection, and does not answer, is given up. */
const READY_MS = 15_000;
/** A day; then it begins anew, as every process has its end. A test has less time. */
export const listening = { ms: 24 * 3600 * 1000 };
/** Names of domains that have been heard of, by which a line that can be read in two ways is understood. */
const MAX_NAMES = 10_000;

export class Source {
  readonly host: string;
  readonly group: Group;
  #end = new AbortController();
  #settled = Promise.withResolvers<void>();
  #names = new Set<string>();
  #reading: Promise<void> | undefined;
  /** While it waits after a failure. */
  #pause: AbortController | undefined;
  /** While it tries, it is to try once more. */
  #isAsked = false;
  /** Nothing more is tried. */
  #over = false;
  /** Whether everything is heard now. */
  live = false;

  constructor(host: string, group: Group) {
    this.host = host;
    this.group = group;
    void this.#run().finally(() => {
      this.#over = true;
      this.#settled.resolve();
    });
  }

  /** Resolves once it hears, or has failed to: for the first time, or since `retry`. */
  get settled() {
    return this.#settled.promise;
  }

  /** Tries again without a pause: at once, or when the attempt that runs has failed. `settled` is then about the last one. */
  retry() {
    if (this.live || this.#over) return;
    const before = this.#settled;
    this.#settled = Promise.withResolvers();
    void this.#settled.promise.then(before.resolve);
    if (this.#pause) this.#pause.abort();
    else this.#isAsked = true;
  }

  close() {
    this.#end.abort();
    this.live = false;
    if (this.group === "domains") lost.delete(this.host); // nobody asks, so nobody knows
    this.#settled.resolve();
  }

  async #run() {
    const { signal } = this.#end;
    for (let failures = 0; !signal.aborted; ) {
      const why = await this.#hear().catch((error) => toHyperError(error));
      const wasLive = this.live;
      if (wasLive) failures = 0;
      this.live = false;
      if (signal.aborted) break;
      if (this.#isAsked) {
        this.#isAsked = false;
        continue;
      }
      if (wasLive && why.code === "timed_out") continue; // its day is over: a `resync` tells of the next one
      log.info({ host: this.host, group: this.group, why: why.message }, "events are not heard");
      this.#settled.resolve();
      if (why.code === "unsupported") return this.#giveUp(why.message);
      this.#lose(why.message);
      await this.#wait(Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures++, 10)));
    }
  }

  async #wait(ms: number) {
    this.#pause = new AbortController();
    const signal = AbortSignal.any([this.#end.signal, this.#pause.signal]);
    await sleep(ms * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {});
    this.#pause = undefined;
  }

  /** Another driver has no such objects; but a hypervisor without events of domains tells nothing. */
  #giveUp(why: string) {
    if (this.group === "domains") this.#lose(why);
  }

  #lose(why: string) {
    if (this.group !== "domains" || lost.has(this.host)) return; // of networks and pools, a daemon of their own may be off
    lost.set(this.host, why);
    publish(hypervisorEvent(this.host, "lost", why));
  }

  #begin() {
    const known = this.group === "domains" && lost.delete(this.host);
    if (known) publish(hypervisorEvent(this.host, "found", null));
    this.live = true;
    this.#isAsked = false;
    const detail = known
      ? "its events were not heard meanwhile"
      : "its events are heard from now on";
    publish(resync(this.host, GROUPS[this.group].kinds, detail));
    this.#settled.resolve();
  }

  /** Resolves to why nothing more is heard. */
  async #hear(): Promise<HyperError> {
    const { signal } = this.#end;
    const hypervisor = await openHypervisor(this.host);
    if (hypervisor.isTest)
      return new HyperError("unsupported", "libvirt's test driver tells its events to nobody else");
    const argv = listeningArgv(this.group, virshOptions(hypervisor.uri).slice(1));
    const options = { timeout: listening.ms, signal, lasting: true, log };
    const program = await hypervisor.spawn(argv, options);
    let [ready, wanted] = [0, Number.POSITIVE_INFINITY];
    /** What some of them hear before all do is told after the resync: what came before it may be missing. */
    const early: (() => void)[] = [];
    const lines = eventLines(
      (time, text) => {
        const read = () => this.#read(hypervisor, time, text);
        if (this.live) read();
        else early.push(read);
      },
      (line) => {
        if (line === READY) ready++;
        else if (line.startsWith(`${READY}: `)) wanted = Number(line.slice(READY.length + 2));
        else log.debug({ host: this.host, line }, "a line of virsh that is no event");
        if (ready !== wanted || this.live) return;
        this.#begin();
        for (const read of early.splice(0)) read();
      },
    );
    program.stdout.setEncoding("utf8").on("data", (text: string) => lines.write(text));
    program.stdout.resume(); // of SSH, it comes paused
    const late = setTimeout(() => {
      if (!this.live) program.kill(new HyperError("unreachable", "libvirt does not answer"));
    }, READY_MS);
    const { stderr } = await program.ended.finally(() => {
      clearTimeout(late);
      lines.end();
    });
    const said = virshMessages(stderr).join("; ");
    const code = /not supported by the connection driver/.test(said)
      ? "unsupported"
      : "unreachable";
    return new HyperError(code, said || "virsh has ended");
  }

  /** Events are told in their order, also while virsh is asked which domain one is about. */
  #read(hypervisor: Hypervisor, time: string, text: string) {
    const readings = parse(this.host, text);
    if (readings.length === 0) log.warn({ host: this.host, text }, "an event cannot be read");
    const [reading] = readings;
    if (!reading) return;
    if (!this.#reading && readings.length === 1) return this.#tell(time, reading);
    const told = (this.#reading ?? Promise.resolve())
      .then(() => this.#choose(hypervisor, readings))
      .then((chosen) => this.#tell(time, chosen))
      .finally(() => {
        if (this.#reading === told) this.#reading = undefined;
      });
    this.#reading = told;
  }

  #tell(time: string, reading: Reading) {
    if (this.#names.size >= MAX_NAMES) this.#names.clear();
    if (reading.kind === "domain") this.#names.add(reading.object);
    publish({ ...reading, time });
  }

  async #choose(hypervisor: Hypervisor, readings: Reading[]): Promise<Reading> {
    if (readings.length > 1) {
      const [names] = await hypervisor
        .virsh([["list", "--all", "--name"]], { signal: this.#end.signal })
        .catch(() => [undefined]);
      const there = typeof names === "string" ? names.split("\n") : [];
      const found = readings.find(({ object }) => there.includes(object));
      const heard = readings.find(({ object }) => this.#names.has(object));
      if (found ?? heard) return (found ?? heard) as Reading;
    }
    return readings.at(-1) as Reading;
  }
}
