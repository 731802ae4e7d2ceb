/** Resources that are made for a domain on its way, which a rollback leaves alone once it has arrived. */
import type { Resource } from "../resource.ts";
import type { Sides } from "./sides.ts";

type Plain = Exclude<Resource, { kind: "arriving" }>;

export const arriving = (
  { source, uuid, route: { live } }: Pick<Sides, "source" | "uuid" | "route">,
  resource: Plain,
): Resource => ({ kind: "arriving", from: source.host, uuid, live, resource });
