/** Names that libvirt gives to no internal snapshot of a running domain. */
import { HyperError } from "../../../core/errors.ts";

/** A name that such a snapshot can have with every libvirt. */
const ALLOWED = 'letters A to Z, digits, "-", "." and "_"';

/**
 * For `catch`. Newer libvirt (11.3, not 9.0) names a job of QEMU after the snapshot, and QEMU takes few characters
 * there: the error says what works instead. Others are thrown as they are.
 */
export function explainJobName(error: HyperError): never {
  const name = /Invalid job ID 'internal-snapshot-(?:save|load|delete)-(.*)'/s.exec(
    error.message,
  )?.[1];
  if (name === undefined) throw error;
  const taking = error.message.includes("'snapshot-save'");
  const text = `while a domain runs, this hypervisor can take and delete only snapshots with ${ALLOWED} in their names, not ${JSON.stringify(name)}`;
  const ways = taking
    ? "choose such a name, shut the domain down first, or take one of the disks alone (disk_only)"
    : "shut the domain down first";
  throw new HyperError("unsupported", `${text}: ${ways}`, { cause: error });
}
