/** Programs that run as root through `sudo -n`, which asks nobody. virsh needs none: libvirtd serves its login. */
import { HyperError } from "../core/errors.ts";
import type { ExecResult, Transport } from "./transport.ts";

/** How a transport runs programs where `sudo = true` is configured. */
export const execWithSudo =
  (transport: Transport, alias: string): Transport["exec"] =>
  async (argv, options) => {
    if (argv[0] === "virsh") return transport.exec(argv, options);
    const result = await transport.exec(asRoot(argv), options);
    const refused = sudoError(argv, result, alias);
    if (refused) throw refused;
    return result;
  };

/** The same for a program whose input and output are streams. */
export const spawnWithSudo =
  (transport: Transport, alias: string): Transport["spawn"] =>
  async (argv, options) => {
    if (argv[0] === "virsh") return transport.spawn(argv, options);
    const running = await transport.spawn(asRoot(argv), options);
    const ended = running.ended.then((result) => {
      const refused = sudoError(argv, result, alias);
      if (refused) throw refused;
      return result;
    });
    ended.catch(() => {}); // whoever waits for it hears of it
    return { ...running, ended };
  };

export const asRoot = (argv: string[]) => ["sudo", "-n", "--", ...argv];

/** sudo's own words in its exit 1. A warning, such as "unable to resolve host", is none of them. */
const REFUSAL =
  /^sudo: .*(password|terminal|tty|authentication|account|PAM).*$|^Sorry, user .* (is not allowed|may not) .*$|^.* is not (in the sudoers file|allowed to run sudo).*$/m;

/** Why sudo did not run a program; undefined when it did. */
export function sudoError(
  [program = ""]: string[],
  { exitCode, stderr }: Partial<ExecResult> & Omit<ExecResult, "stdout">,
  alias: string,
): HyperError | undefined {
  if (exitCode !== 1) return undefined;
  if (stderr.includes(`sudo: ${program}: command not found`)) {
    return new HyperError("unsupported", `${program} is not installed on hypervisor ${alias}`);
  }
  const [reason] = REFUSAL.exec(stderr) ?? [];
  if (!reason) return undefined;
  const text = `hypervisor ${alias}: sudo -n does not run ${program} (${reason.trim()}); its login needs NOPASSWD in sudoers`;
  return new HyperError("permission_denied", text);
}
