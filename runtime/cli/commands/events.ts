/** `hypersdk events --follow`: what happens in the fleet, a line for each event. */
import type { Command } from "commander";
import type { CallOptions, FleetEvent, Input } from "../../client/types.ts";
import { HyperError } from "../../core/errors.ts";
import { report } from "../report.ts";
import { type Target, typedCaller, withServer } from "../target.ts";

interface Options extends Target {
  kind?: Input<"GET /events">["kind"];
  name?: string[];
  event?: string[];
  after?: string;
  follow?: boolean;
  json?: boolean;
}

const collect = (value: string, before: string[] = []) => [...before, value];

export function events(program: Command) {
  const command = program
    .command("events")
    .description("show what happens, as it happens; Ctrl-C ends it")
    .option("--host <alias>", "on this hypervisor; of a server, also `kvm1,kvm2` or `*`")
    .option("--kind <kind>", "domain, network, pool, job …; may be given again", collect)
    .option("--name <name>", "about this object; may be given again", collect)
    .option("--event <event>", "such as lifecycle or started; may be given again", collect)
    .option("--after <id>", "go on after the event of this ID")
    .option("--follow", "go on after a lost connection");
  withServer(command, "of one hypervisor, as this machine hears it").action(show);
}

async function show({ host, server, token, kind, name, event, after, follow, json }: Options) {
  const asJson = json ?? !process.stdout.isTTY;
  try {
    const input = { kind, name, event, last_event_id: after };
    const several = host !== undefined && /[*,]/.test(host);
    if (several && !server)
      throw new HyperError("invalid_input", "--host: several hypervisors need a --server");
    const call = await typedCaller({ server, token });
    if (follow) {
      for await (const one of call.events(input, { host })) print(one, asJson);
    } else {
      const stream = await call("GET /events", input, { host } as CallOptions);
      for await (const { data } of stream) print(data, asJson);
    }
  } catch (error) {
    process.exitCode = report(error as Error, asJson);
  }
}

function print(event: FleetEvent, json: boolean) {
  if (json) return console.log(JSON.stringify(event));
  const { time, host, kind, object, event: name, detail } = event;
  const read =
    "read" in event && event.read.length > 0 ? `read ${event.read.join(", ")}` : undefined;
  const who = "who" in event && event.who ? `by ${event.who.name}` : undefined;
  const words = [time, host, kind, object, name, detail, who, read];
  console.log(
    words
      .filter(Boolean)
      .map((word) => printable(`${word}`))
      .join("  "),
  );
}

/** A name may hold what a terminal would obey. */
const printable = (text: string) =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (one) => JSON.stringify(one).slice(1, -1));
