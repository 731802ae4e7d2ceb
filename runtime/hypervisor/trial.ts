/** A hypervisor that is connected to for one look, and of which nothing stays. */
import { settings } from "../core/settings.ts";
import type { AddedHost } from "./added-hosts.ts";
import { type Context, createContext, virshOf } from "./context.ts";
import { Hypervisor } from "./hypervisor.ts";
import { transportOf } from "./registry.ts";

const EXEC_TIMEOUT_MS = 10_000;

/** `work` gets a context that has virsh and exec alone. */
export async function onTrial<T>(
  { alias, uri, sudo }: AddedHost,
  { signal, log }: Pick<Context, "signal" | "log">,
  work: (ctx: Context) => Promise<T>,
): Promise<T> {
  const transport = await transportOf(alias, uri);
  const hypervisor = new Hypervisor(alias, uri, { ...settings().virsh, sudo }, transport);
  const common = { signal, log };
  try {
    const virsh = virshOf(async () => hypervisor, common);
    const exec: Context["exec"] = (argv, options) =>
      hypervisor.exec(argv, { timeout: EXEC_TIMEOUT_MS, ...common, ...options });
    return await work(createContext({ host: alias, uri, virsh, exec, ...common }));
  } finally {
    await hypervisor.close();
  }
}
