/**
 * What a failed look at an image means. Only an image that is clearly not there has nothing below it; one that
 * cannot be read (a closed folder, NFS with root_squash, a damaged header) is unknown, which is thrown.
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { pathExists } from "../program.ts";
import { shownTo } from "../shown-domains.ts";
import { readImageChain } from "./image-chain.ts";

/** An image whose backing files are unknown: it may stand on any volume. */
export interface UnknownImage {
  domain: string;
  path: string;
  reason: string;
}

/** The paths of the images below an image, from the top down. Throws if one of them cannot be read. */
export async function imagesBelow(
  ctx: Pick<Context, "exec">,
  path: string,
  format: string,
): Promise<string[]> {
  const paths: string[] = [];
  await readImageChain(ctx.exec, path, format, (image) => {
    paths.push(image);
    return pathExists(ctx, image);
  });
  return paths.slice(1);
}

/** Says that a volume may be in use by images that cannot be read; `remedy` completes the message. */
export function mayBeInUse(ctx: Context, name: string, unknown: UnknownImage[], remedy = "") {
  const domains = shownTo(ctx, [...new Set(unknown.map(({ domain }) => domain))]);
  const text = `${name} ${whyUnknown(ctx, unknown[0])}${remedy}`;
  return new HyperError("in_use", text, { details: { domains } });
}

/** The path of an image, too, tells whose it is. */
export function whyUnknown(ctx: Context, image: UnknownImage | undefined): string {
  const { path = "", domain = "", reason = "" } = image ?? {};
  if (!ctx.rights.sees(ctx.host, domain))
    return "may be the base of an image of another domain, which cannot be read";
  return `may be the base of ${path} of domain ${domain}, which cannot be read: ${reason}`;
}
