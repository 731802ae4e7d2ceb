/** libvirt URIs of hypervisors behind SSH: `qemu+ssh://user@host:port/system`. */

const PARAMETERS = ["keyfile", "known_hosts", "sshauth", "no_tty"];

export const isSsh = (uri: string) => /^[a-z]+\+(ssh|libssh2?):\/\//.test(uri);

/** The URI for virsh on the remote side: `qemu:///system` for `qemu+ssh://kvm1/system`. */
export function remoteUri(uri: string): string {
  const { protocol, pathname } = new URL(uri);
  return `${protocol.replace(/\+.*/, "")}://${pathname}`;
}

/** Why a host's URI cannot be used; undefined if it can. Checked when the configuration is read. */
export function sshUriProblem(uri: string): string | undefined {
  if (!URL.canParse(uri)) return "is not a URI";
  const { hostname, password, searchParams } = new URL(uri);
  if (!hostname) return "names no host: qemu+ssh://HOST/system";
  if (password) return "must hold no password; logins use keys or the ssh-agent";
  for (const key of searchParams.keys()) {
    if (/^(no_verify|known_hosts_verify)$/.test(key)) {
      return `${key}: host keys are always verified; record the key in known_hosts instead`;
    }
    if (!PARAMETERS.includes(key))
      return `unknown parameter ${key}; there are: keyfile, known_hosts`;
  }
  return undefined;
}

/** Why there can be no hypervisor at a URI; undefined when there can. */
export function uriProblem(uri: string): string | undefined {
  if (!/^[a-z]+(\+[a-z0-9]+)?:\/\//.test(uri))
    return "must be a libvirt URI such as qemu:///system";
  return isSsh(uri) ? sshUriProblem(uri) : undefined;
}

/** Drivers that speak to VMware; libvirt checks the certificate of the server unless it is told not to. */
export const isVmware = (uri: string) => /^(vpx|esx):\/\//.test(uri);

/**
 * The same for one that comes in a call and not in hypersdk.toml, whose author may do on this machine what the server may:
 * such a URI starts no program here, names no file of ours, and weakens no check.
 */
export function addedUriProblem(uri: string): string | undefined {
  if (!/^[\x21-\x7e]{1,1000}$/.test(uri))
    return "must be at most 1000 ASCII characters without spaces";
  const problem = uriProblem(uri);
  if (problem) return problem;
  if (/^[a-z]+\+ext:/.test(uri)) return "+ext runs a program here; only hypersdk.toml may name one";
  if (!URL.canParse(uri)) return "is not a URI";
  const { protocol, password, searchParams } = new URL(uri);
  if (password) return "must hold no password";
  if (protocol === "test:" && uri !== "test:///default")
    return "of libvirt's test driver only test:///default can be added; a file belongs into hypersdk.toml";
  if (isSsh(uri)) return undefined;
  const allowed = isVmware(uri) ? ["no_verify"] : ["socket"];
  const other = [...searchParams.keys()].find((key) => !allowed.includes(key));
  return (
    other && `parameter ${other} belongs into hypersdk.toml; allowed here: ${allowed.join(", ")}`
  );
}
