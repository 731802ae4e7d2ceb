/** The field `cloud_init.network`: cloud-init's network configuration, version 2, as netplan has it. */

import ipaddr from "ipaddr.js";
import * as z from "zod";
import { Mac } from "../names.ts";
import { Line, type Sample } from "./fields.ts";

const isAddress = (text: string) =>
  ipaddr.isValid(text) && (text.includes(":") || ipaddr.IPv4.isValidFourPartDecimal(text));
const isCidr = (text: string) =>
  ipaddr.isValidCIDR(text) && isAddress(text.slice(0, text.indexOf("/")));

const address = (sample: Sample) =>
  z.string().refine((text) => isAddress(sample(text)), "must be an IP address");
const cidr = (sample: Sample) =>
  z
    .string()
    .refine(
      (text) => isCidr(sample(text)),
      "must be an IP address with its prefix, such as 192.0.2.7/24",
    );

/** Devices other than Ethernet's are passed on as netplan has them. */
const Devices = z.record(Line, z.record(z.string(), z.json()));

const ethernet = (sample: Sample) =>
  z.strictObject({
    match: z
      .strictObject({
        name: Line.optional().describe('may have "*", such as "e*"'),
        macaddress: Mac.optional(),
        driver: Line.optional(),
      })
      .optional()
      .describe("the devices that are meant; without it the key is a device's name"),
    "set-name": Line.optional(),
    dhcp4: z.boolean().optional(),
    dhcp6: z.boolean().optional(),
    "accept-ra": z.boolean().optional(),
    addresses: z.array(cidr(sample)).max(100).optional(),
    gateway4: address(sample).optional(),
    gateway6: address(sample).optional(),
    routes: z
      .array(
        z.strictObject({
          to: z
            .string()
            .refine(
              (text) => text === "default" || isCidr(sample(text)),
              'must be a network such as 192.0.2.0/24, or "default"',
            ),
          via: address(sample).optional(),
          metric: z.int().min(0).optional(),
          "on-link": z.boolean().optional(),
        }),
      )
      .max(100)
      .optional(),
    nameservers: z
      .strictObject({
        addresses: z.array(address(sample)).optional(),
        search: z.array(Line).optional(),
      })
      .optional(),
    mtu: z.int().min(68).max(65_535).optional(),
    macaddress: Mac.optional().describe("a MAC address to take"),
    optional: z.boolean().optional().describe("the boot does not wait for it"),
  });

export const networkConfig = (sample: Sample) =>
  z.strictObject({
    version: z.literal(2).default(2),
    renderer: z.enum(["networkd", "NetworkManager"]).optional(),
    ethernets: z.record(Line, ethernet(sample)).optional(),
    bonds: Devices.optional(),
    bridges: Devices.optional(),
    vlans: Devices.optional(),
  });

/** The addresses that a guest is told to take. */
export const staticAddresses = (network: z.output<ReturnType<typeof networkConfig>> | undefined) =>
  Object.values(network?.ethernets ?? {})
    .flatMap(({ addresses = [] }) => addresses)
    .map((cidr) => cidr.slice(0, cidr.indexOf("/")));
