/** The fields of calls that add hypervisors. */
import * as z from "zod";
import { alias } from "../core/config-schema.ts";
import { addedUriProblem } from "../core/libvirt-uri.ts";

export const HostAlias = alias.max(64).describe("alias of the hypervisor, such as kvm3");

export const HostUri = z
  .string()
  .superRefine((uri, ctx) => {
    const message = addedUriProblem(uri);
    if (message) ctx.addIssue({ code: "custom", message });
  })
  .describe("libvirt URI, such as qemu+ssh://root@kvm3/system");
