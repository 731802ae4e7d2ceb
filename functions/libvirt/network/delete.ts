/** POST /libvirt/network/delete: remove a network; an active one is stopped first. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { NetworkName } from "#runtime/libvirt/names.ts";
import { keyValues } from "#runtime/libvirt/virsh-output.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete a network",
  input: z.strictObject({ name: NetworkName }),
  output: z.object({ name: z.string(), stopped: z.boolean() }),
  message: ({ name }) => `Network ${name} deleted`,
  examples: [{ name: "vm-network" }],

  async run({ name }, { virsh }) {
    const { Active, Persistent } = keyValues(await virsh(["net-info", "--network", name]));
    if (!Active || !Persistent)
      throw new HyperError("virsh_failed", "the output of net-info has no state");
    const stopped = Active === "yes";
    if (stopped) await virsh(["net-destroy", "--network", name]);
    if (Persistent === "yes") {
      await virsh(["net-undefine", "--network", name]).catch((error: HyperError) => {
        if (!stopped) throw error;
        const text = `${error.message}; the network was stopped and is still defined`;
        throw new HyperError(error.code, text, { cause: error });
      });
    }
    return { name, stopped };
  },
});
