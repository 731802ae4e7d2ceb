/** POST /libvirt/template/deploy: new domains from a template. Of each everything that is asked is done, or nothing is left. */
import pLimit from "p-limit";
import * as z from "zod";
import { settings } from "#runtime/core/settings.ts";
import { BatchResult, batchNames } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { customizeCommands } from "#runtime/libvirt/clone/customize.ts";
import {
  awaitGuest,
  Deployed,
  deployDomain,
  isMarkedTemplate,
  nameOfNetwork,
} from "#runtime/libvirt/clone/deploy.ts";
import { DeployInput } from "#runtime/libvirt/clone/deploy-input.ts";
import { fillIn, hashShared, type Values } from "#runtime/libvirt/cloud-init/placeholders.ts";
import { needProgram } from "#runtime/libvirt/host.ts";
import { throwIfCancelled } from "#runtime/libvirt/rollback.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Deploy domains from a template",
  job: { repeat: true, reads: ["template"] },
  status: 201,
  input: DeployInput,
  output: z.union([Deployed, BatchResult]),
  message: (data, { template }) =>
    "name" in data
      ? `Domain ${data.name} deployed from ${template}${data.started ? " and started" : ""}`
      : `${data.successful} of ${data.total} domains deployed from ${template}`,
  examples: [
    {
      template: "ubuntu-22-template",
      name: "new-webserver",
      memory: 4096,
      vcpus: 2,
      network: "vm-network",
      autostart: true,
      customize: {},
    },
    {
      template: "ubuntu-22-template",
      name_prefix: "web",
      count: 3,
      cloud_init: { hostname: "{{name}}", packages: ["nginx"] },
    },
  ],

  async run({ template, name, cloud_init, seed_pool, ...input }, ctx) {
    const { name_prefix, count = 0, start_index = 1, network, customize } = input;
    const several = Array.from({ length: count }, (_, i) => {
      const index = start_index + i;
      return { name: `${name_prefix}-${index}`, index };
    });
    const shared = cloud_init && hashShared(cloud_init);
    const fill = (values: Values) => shared && fillIn(shared, values);
    const wanted = new Map(
      (name === undefined ? several : [{ name }]).map((values) => [values.name, fill(values)]),
    );
    if (customizeCommands(customize).length > 0)
      await needProgram(ctx, "virt-customize", { field: "customize", package: "libguestfs-tools" });
    const mayLink = cloud_init !== undefined || count > 0;
    const common = {
      ...{ ...input, template, seedPool: seed_pool },
      network: network && (await nameOfNetwork(ctx, network)),
      linked: input.linked ?? (mayLink && (await isMarkedTemplate(ctx, template))),
    };
    if (name !== undefined) {
      const asked = { ...common, name, cloudInit: wanted.get(name) };
      return awaitGuest(ctx, await deployDomain(ctx, asked), asked);
    }
    const limit = pLimit(settings().batch.concurrency); // those that are waited for take no place
    const work: Parameters<typeof batchNames>[3] = async (name, progress) => {
      const asked = { ...common, name, cloudInit: wanted.get(name) };
      const deployed = await limit(() => {
        if (ctx.job) throwIfCancelled(ctx);
        return deployDomain(ctx, asked, progress);
      });
      const { disks, ...rest } = await awaitGuest({ ...ctx, progress }, deployed, asked);
      return { ...rest, disks: disks.map(({ path }) => path) };
    };
    return batchNames(ctx, "deploy", [...wanted.keys()], work, undefined, wanted.size);
  },
});
