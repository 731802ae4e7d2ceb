/** Asks before a domain goes, and says what goes with it. */
import { useState } from "preact/hooks";
import { domainKey, type Of } from "../domain/acts.ts";
import { Check } from "../parts/field.tsx";
import { Reading } from "../parts/reading.tsx";
import { call } from "../state/client.ts";
import { plural } from "../state/format.ts";
import { go } from "../state/route.ts";
import { useRead } from "../state/use-read.ts";
import { can } from "../state/who.ts";
import { ConfirmDialog } from "./confirm.tsx";

export function DeleteDomainDialog({ of: { host, name }, isOff }: { of: Of; isOff: boolean }) {
  const [withDisks, setWithDisks] = useState(false);
  const read = useRead(
    async (signal) => {
      const [details, snapshots] = await Promise.all([
        call("GET /libvirt/domain", { name }, { host, signal }),
        can("/libvirt/snapshots")
          ? call("GET /libvirt/snapshots", { name }, { host, signal })
          : undefined,
      ]);
      return { disks: details.disks, snapshots: snapshots?.snapshots ?? [] };
    },
    [host, name],
  );
  const input = { name, remove_storage: withDisks, force: !isOff };
  return (
    <ConfirmDialog
      title={`Delete ${name}?`}
      action={withDisks ? "Delete domain and disks" : "Delete domain"}
      of={domainKey({ host, name })}
      work={() => call("POST /libvirt/domain/delete", input, { host })}
      done={`${name} is deleted`}
      after={() => go("domains")}
    >
      {!isOff && (
        <p class="error">
          It runs. It is switched off first: what the guest has not written is lost.
        </p>
      )}
      <p>These go, and cannot be brought back:</p>
      <Reading of={read}>
        {({ disks, snapshots }) => {
          const own = disks.filter(
            ({ kind, readonly, source }) => kind === "disk" && !readonly && source,
          );
          return (
            <>
              <ul class="goes">
                <li>the definition of {name}, and the memory that libvirt has saved of it</li>
                {snapshots.length > 0 && (
                  <li>
                    {plural(snapshots.length, "snapshot")}:{" "}
                    {snapshots.map((one) => one.name).join(", ")}
                  </li>
                )}
                {withDisks &&
                  own.map(({ device, source }) => (
                    <li key={device}>
                      {device}: <code>{source}</code>
                    </li>
                  ))}
              </ul>
              {own.length > 0 && (
                <Check
                  label={
                    own.length === 1
                      ? "Also delete its disk, unless something else uses it"
                      : `Also delete its ${own.length} disks, unless something else uses them`
                  }
                  checked={withDisks}
                  onChange={setWithDisks}
                />
              )}
            </>
          );
        }}
      </Reading>
    </ConfirmDialog>
  );
}
