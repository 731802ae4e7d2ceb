/** GET, POST /migration/wizard: where domains can go; and for a plan, a verdict on each step and the jobs that do it. */
import * as z from "zod";
import { forbidden } from "#runtime/access/caller.ts";
import { toHyperError } from "#runtime/core/errors.ts";
import { onlyOf } from "#runtime/core/method.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { onEach } from "#runtime/http/fleet.ts";
import { Reached, reach } from "#runtime/libvirt/host.ts";
import { Check } from "#runtime/libvirt/migrate/check.ts";
import { readFindings } from "#runtime/libvirt/migrate/compatibility.ts";
import { readSides } from "#runtime/libvirt/migrate/sides.ts";
import { HostAlias, MigrateWish } from "#runtime/libvirt/migrate/wish.ts";
import { DomainName, NameOfDomain } from "#runtime/libvirt/names.ts";

const OF_A_POST = onlyOf("POST");
const Options = z.strictObject(MigrateWish.omit({ name: true, to: true, dry_run: true }).shape);

const Verdict = z.object({
  name: NameOfDomain,
  status: z.enum(["pass", "warning", "fail"]),
  checks: z.array(Check),
});

export default defineFunction({
  method: ["GET", "POST"],
  access: "read",
  scope: "fleet",
  summary: "Plan a migration",
  input: z.strictObject({
    source: z
      .strictObject({ type: z.literal("libvirt").optional(), server: HostAlias })
      .optional()
      .describe("the hypervisor that the domains are on")
      .meta(OF_A_POST),
    destination: z
      .strictObject({ type: z.literal("libvirt").optional(), location: HostAlias })
      .optional()
      .describe("the hypervisor that they are to go to")
      .meta(OF_A_POST),
    vms: z.array(DomainName).max(100).optional().describe("their names").meta(OF_A_POST),
    options: Options.optional().describe("those of domain/migrate").meta(OF_A_POST),
  }),
  output: z.object({
    servers: z.array(Reached),
    steps: z.array(
      z.object({
        step: z.enum(["source", "destination", "vms", "options"]),
        status: z.enum(["pass", "fail", "missing"]),
        message: z.string(),
      }),
    ),
    vms: z.array(Verdict),
    jobs: z
      .array(z.object({ function: z.string(), host: z.string(), input: z.unknown() }))
      .describe("for jobs/submit, one for each domain that no check holds back"),
  }),
  message: ({ jobs }) => `${jobs.length} domains can move`,
  examples: [{}],

  async run({ source, destination, vms = [], options }, ctx) {
    if (ctx.caller.select !== undefined) {
      const text =
        "may not plan migrations, since a query selects its domains; call migration/compatibility for each";
      throw forbidden(ctx.caller, "function:/migration/wizard", text);
    }
    const answers = await onEach(ctx.hosts, (host) => reach(ctx.forHost(host)), ctx.log);
    const servers = answers.hosts.flatMap((one) => (one.status === "success" ? [one.data] : []));
    const judge = (step: "source" | "destination", alias: string | undefined) => {
      if (alias === undefined) return { step, status: "missing" as const, message: "name one" };
      const server = servers.find(({ host }) => host === alias);
      const text = server ? (server.error ?? `${alias} answers`) : `${alias} is not configured`;
      return {
        step,
        status: server?.reachable ? ("pass" as const) : ("fail" as const),
        message: text,
      };
    };
    const [from, to] = [source?.server, destination?.location];
    const ends = [judge("source", from), judge("destination", to)];
    const rest = Options.parse(options ?? {});
    const isReady = ends.every(({ status }) => status === "pass");
    const verdicts: z.output<typeof Verdict>[] = [];
    for (const vm of isReady ? vms : []) {
      const route = { ...rest, name: vm, to: `${to}` };
      const checks = await readSides(ctx.forHost(`${from}`), route).then(
        async (sides) => (await readFindings(sides)).checks,
        (error) => [
          { item: "domain", status: "fail" as const, message: toHyperError(error).message },
        ],
      );
      verdicts.push({ name: vm, status: worst(checks), checks });
    }
    const good = verdicts.filter(({ status }) => status !== "fail");
    const failed = verdicts.length - good.length;
    const steps = [
      ...ends,
      {
        step: "vms" as const,
        status:
          vms.length === 0
            ? ("missing" as const)
            : failed > 0 || !isReady
              ? ("fail" as const)
              : ("pass" as const),
        message: vms.length === 0 ? "name some" : `${good.length} of ${vms.length} can move`,
      },
      {
        step: "options" as const,
        status: "pass" as const,
        message: rest.live ? "live" : "shut off",
      },
    ];
    const jobs = good.map(({ name }) => ({
      function: "/libvirt/domain/migrate",
      host: `${from}`,
      input: { ...options, name, to },
    }));
    return { servers, steps, vms: verdicts, jobs };
  },
});

function worst(checks: { status: "pass" | "warning" | "fail" }[]) {
  const has = (status: string) => checks.some((one) => one.status === status);
  return has("fail") ? "fail" : has("warning") ? "warning" : "pass";
}
