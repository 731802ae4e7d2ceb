/** Checks of what the domain is: its state, its names, what libvirt keeps beside it. */

import { listDomains } from "../domain/domain.ts";
import { lines } from "../virsh-output.ts";
import { attribute, children, textOf } from "../xml.ts";
import { type Check, fail, pass, warning } from "./check.ts";
import type { Sides } from "./sides.ts";
import { readSnapshotList } from "./snapshots.ts";

export async function checkState({ active, state, hasSavedState, persistent, route }: Sides) {
  if (hasSavedState) {
    const text = "it has a managed save, which does not move; start it, or remove it";
    return [fail("state", text)];
  }
  if (route.live && !active)
    return [fail("state", `it is ${state}; live is for a domain that runs`)];
  if (!route.live && active)
    return [fail("state", `it is ${state}; shut it down first, or migrate it live`)];
  if (!route.live && !persistent) return [fail("state", "it has no stored definition")];
  return [pass("state", `it is ${state}`)];
}

export async function checkNames({ target, name, uuid }: Sides): Promise<Check[]> {
  const domains = await listDomains(target, "--all");
  const named = domains.find((domain) => domain.name === name);
  const same = domains.find((domain) => domain.uuid === uuid);
  return [
    named
      ? fail("name", `${target.host} has a domain ${name} already`)
      : pass("name", `${name} is free on ${target.host}`),
    same
      ? fail("uuid", `${target.host} has a domain ${same.name} with the UUID ${uuid} already`)
      : pass("uuid", `${uuid} is free on ${target.host}`),
  ];
}

export async function checkSnapshots(sides: Sides): Promise<Check[]> {
  const { source, uuid, route } = sides;
  const list = ["checkpoint-list", "--domain", uuid, "--name"];
  const [checkpoints] = await source.virsh.settled([list]);
  if (typeof checkpoints !== "string" && checkpoints?.code !== "unsupported") throw checkpoints;
  if (typeof checkpoints === "string" && lines(checkpoints).length > 0) {
    const text = "it has checkpoints, which do not move; delete them first";
    return [fail("snapshots", text)];
  }
  const snapshots = await readSnapshotList(source, uuid);
  if (snapshots.length === 0) return [pass("snapshots", "it has none")];
  const names = snapshots.map((one) => one.name).join(", ");
  if (route.live) {
    const text = `it has snapshots (${names}), with which libvirt migrates no running domain; shut it down and migrate it then, or delete them`;
    return [fail("snapshots", text)];
  }
  const external = snapshots.filter((one) => one.isExternal).map((one) => one.name);
  if (external.length > 0 && route.copy_storage !== "none") {
    const text = `${external.join(", ")} have files of their own, which are not copied; delete or merge them first`;
    return [fail("snapshots", text)];
  }
  return [pass("snapshots", `${names} move with it`)];
}

/** Devices of the source's own, which the target has not, or whose state stays behind. */
export async function checkPassthrough({ domain, route }: Sides): Promise<Check[]> {
  const kinds: [string, string[]][] = [
    ["hostdev", ["devices", "hostdev"]],
    ["interface of type hostdev", ["devices", "interface"]],
    ["redirdev", ["devices", "redirdev"]],
    ["filesystem", ["devices", "filesystem"]],
    ["memory device", ["devices", "memory"]],
  ];
  const found = kinds.flatMap(([kind, path]) =>
    children(domain, ...path)
      .filter((one) => kind !== "interface of type hostdev" || one["@type"] === "hostdev")
      .filter(
        (one) => kind !== "memory device" || /nvdimm|sgx|virtio-pmem/.test(`${one["@model"]}`),
      )
      .map(() => kind),
  );
  const own = [...new Set(found)];
  const commands = children(domain, "commandline").length > 0;
  if (own.length === 0 && !commands) return [pass("passthrough", "it has no device of its host")];
  const text = `it has ${[...own, ...(commands ? ["arguments of QEMU's own"] : [])].join(", ")}`;
  const isBound = own.some((kind) => kind !== "redirdev");
  if (isBound && route.live)
    return [
      fail("passthrough", `${text}, with which it cannot move while it runs; detach it first`),
    ];
  return [warning("passthrough", `${text}, which the target must have in the same place`)];
}

/** Secrets are never sent: they must be there. */
export async function checkSecrets({ target, domain }: Sides): Promise<Check[]> {
  const disks = children(domain, "devices", "disk");
  const secrets = [
    ...disks.flatMap((one) => [
      ...children(one, "encryption", "secret"),
      ...children(one, "source", "encryption", "secret"),
      ...children(one, "source", "auth", "secret"),
      ...children(one, "auth", "secret"),
    ]),
    ...children(domain, "devices", "tpm", "backend", "encryption").map((one) => ({
      "@uuid": one["@secret"],
    })),
  ];
  const uuids = [...new Set(secrets.flatMap((one) => attribute(one, "uuid") ?? []))];
  if (secrets.length === 0) return [];
  if (uuids.length === 0)
    return [warning("secrets", "its secrets are named by their use; the target must have them")];
  const found = await target.virsh.settled(
    uuids.map((uuid) => ["secret-dumpxml", "--secret", uuid]),
  );
  const missing = uuids.filter((_, i) => typeof found[i] !== "string");
  if (missing.length === 0) return [pass("secrets", `${target.host} has them`)];
  const text = `${target.host} has no secret ${missing.join(", ")}; define it there first`;
  return [fail("secrets", text)];
}

export const machineOf = (sides: Sides) => {
  const [type] = children(sides.domain, "os", "type");
  return {
    arch: `${type?.["@arch"]}`,
    machine: `${type?.["@machine"]}`,
    virtType: attribute(sides.domain, "type") ?? "",
    emulator: textOf(sides.domain, "devices", "emulator"),
  };
};
