/** POST /libvirt/domain/edit: change memory, vCPUs, texts, boot order and autostart, live where libvirt can. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { Change, editDomain } from "#runtime/libvirt/domain/change/change.ts";
import { WISH } from "#runtime/libvirt/domain/change/wish.ts";
import { domainState, nameIn } from "#runtime/libvirt/domain/domain.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Edit a domain",
  job: { repeat: true },
  input: z
    .strictObject({ name: DomainName, ...WISH })
    .refine(
      (input) =>
        Object.entries(input).some(([key, value]) => key !== "name" && value !== undefined),
      {
        error: `must change something: ${Object.keys(WISH).join(", ")}`,
      },
    ),
  output: z.object({
    name: z.string(),
    uuid: z.string(),
    changes: z.array(Change).describe("one for each field, and for a maximum that moved along"),
    restart_needed: z.boolean().describe("the running domain has not all of it yet"),
  }),
  message: ({ name, changes, restart_needed }) => {
    const waiting = changes.filter(({ live }) => live === false).map(({ field }) => field);
    const rest = restart_needed ? `; waiting for a restart: ${waiting.join(", ")}` : "";
    return `Domain ${name} edited: ${changes.map(({ field }) => field).join(", ")}${rest}`;
  },
  examples: [{ name: "my-vm", memory: 4096, vcpus: 2, description: "the web server" }],

  async run({ name, ...wish }, ctx) {
    return inTurn(ctx, name, async (uuid, dominfo) => {
      const changes = await editDomain(ctx, uuid, dominfo, wish);
      const { live } = domainState(dominfo);
      const restart_needed = live && changes.some((change) => change.live === false);
      return { name: nameIn(dominfo) ?? name, uuid, changes, restart_needed };
    });
  },
});
