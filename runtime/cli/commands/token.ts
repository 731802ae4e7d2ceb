/** `hypersdk token create ci --role read`, `token list`, `token revoke ci`: who may call the server. */
import { Argument, type Command, Option } from "commander";
import type { Access } from "../../access/caller.ts";

interface Limits {
  role?: Access;
  function?: string[];
  host?: string[];
  domain?: string[];
  select?: string;
  expires: string;
}

const collect = (value: string, before: string[] = []) => [...before, value];

export function token(program: Command) {
  const group = program.command("token").description("make, list and revoke the server's tokens");
  const name = () => new Argument("<name>", "the name of its owner or purpose");
  group
    .command("create")
    .description("make a token and print it; it is not shown again")
    .addArgument(name())
    .addOption(
      new Option("--role <role>", "read: look; operate: also change what runs; admin: all").choices(
        ["read", "operate", "admin"],
      ),
    )
    .option(
      "--function <path>",
      "instead of a role: a path, or a pattern such as /libvirt/domain/*",
      collect,
    )
    .option("--host <alias>", "a hypervisor that it may use; all unless given", collect)
    .option(
      "--domain <pattern>",
      "domains that it may touch, such as web-*; all unless given",
      collect,
    )
    .option(
      "--select <query>",
      'in the place of --domain: those that match when it acts, such as "tag:prod AND host:kvm*"',
    )
    .option("--expires <when>", "90d, 12h, 2027-01-31, never", "90d")
    .action(create);
  group
    .command("list")
    .description("list the tokens and their limits")
    .option("--json", "JSON, as when piped")
    .action(list);
  group
    .command("revoke")
    .description("refuse a token from now on")
    .addArgument(name())
    .action(revoke);
}

async function create(name: string, { role, expires, ...limits }: Limits) {
  const [{ createToken }, { readExpiry }, { parseRights }, { UsageError }] = await Promise.all([
    import("../../access/token-editor.ts"),
    import("../../access/expiry.ts"),
    import("../../libvirt/inventory/selected-domains.ts"),
    import("../report.ts"),
  ]);
  const { function: functions, host: hosts, domain: domains } = limits;
  if ((role === undefined) === (functions === undefined)) {
    throw new UsageError("token create: --role, or --function once or more");
  }
  const { select } = limits;
  if (domains && select !== undefined)
    throw new UsageError("token create: --domain or --select, and not both");
  if (select !== undefined) parseRights(select);
  const until = readExpiry(expires);
  const rights = { role, functions, hosts, domains, select };
  console.log(await createToken({ name, ...rights, expires: until }));
  console.error(
    `hypersdk: save it now, it is not shown again; it ${until ? `expires ${until}` : "never expires"}`,
  );
}

async function list({ json }: { json?: boolean }) {
  const [{ listTokens }, { expired }, { print }] = await Promise.all([
    import("../../access/token-editor.ts"),
    import("../../access/tokens.ts"),
    import("../output.ts"),
  ]);
  const rows = listTokens().map(({ hash, role, functions, hosts, domains, select, ...one }) => ({
    name: one.name,
    role: role ?? null,
    functions: functions ?? null,
    hosts: hosts ?? null,
    domains: domains ?? null,
    select: select ?? null,
    expires: one.expires,
    expired: expired(one),
  }));
  print(rows, { json });
}

async function revoke(name: string) {
  const { revokeToken } = await import("../../access/token-editor.ts");
  await revokeToken(name);
  console.error(`hypersdk: ${name} is refused from now on`);
}
