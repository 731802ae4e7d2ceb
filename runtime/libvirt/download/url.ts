/** URLs of images, and the hosts that they may name: `[images] hosts` of the settings. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";

const MAX_CHARACTERS = 2048;

/** No name of a volume has a slash in it. */
export const isUrl = (text: string) => /^[a-z][a-z0-9+.-]*:\/\//i.test(text);

/** Passwords in a URL would stand in logs and in the input of jobs. */
function urlProblem(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text)) return "must be a URL that begins with http:// or https://";
  const url = URL.parse(text);
  if (!url?.hostname) return "is no URL";
  return url.username || url.password ? "must not hold a user or a password" : undefined;
}

export const ImageUrl = z
  .string()
  .max(MAX_CHARACTERS)
  .superRefine((text, ctx) => {
    const message = urlProblem(text);
    if (message) ctx.addIssue({ code: "custom", message });
  })
  .describe("an http or https URL, of a host that [images] hosts of the server lists");

/** The name or address of a host, and the port if one is given. */
const ENTRY = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/;

/** Whether an entry of the list is about this URL. An address has many spellings, of which URL makes one. */
function isAbout(entry: string, url: URL): boolean {
  const [, host = "", port] = ENTRY.exec(entry) ?? [];
  const normal = host.startsWith("*.") ? undefined : URL.parse(`http://${host}/`)?.hostname;
  const isHost = normal ? url.hostname === normal : url.hostname.endsWith(host.slice(1));
  const standard = url.protocol === "https:" ? "443" : "80";
  return isHost && (port === undefined ? url.port === "" : port === (url.port || standard));
}

/** Throws `invalid_input` for a URL of a host that is not listed. */
export function assertListed(url: URL, field: string) {
  const { hosts } = settings().images;
  if (hosts.some((entry) => isAbout(entry, url))) return;
  const listed =
    hosts.length > 0
      ? `which lists ${hosts.join(", ")}`
      : `which lists none; the server's hypersdk.toml allows it by: [images] hosts = [${JSON.stringify(url.host)}]`;
  const text = `${field}: host ${url.host} is not in [images] hosts, ${listed}`;
  throw new HyperError("invalid_input", text);
}

/** The URL that a redirect leads to. Throws for one that leads out of the list, or from https to http. */
export function redirected(from: URL, location: string, field: string): URL {
  const problem = urlProblem(URL.parse(location, from.href)?.href ?? location);
  if (problem)
    throw new HyperError("invalid_input", `${field}: redirects to another URL, which ${problem}`);
  const url = new URL(location, from);
  if (from.protocol === "https:" && url.protocol === "http:") {
    const text = `${field}: redirects from https to http://${url.host}, which nobody vouches for`;
    throw new HyperError("invalid_input", text);
  }
  assertListed(url, `${field}: redirects, and`);
  return url;
}

/** A URL in messages and in the log: its query may hold a signature. */
export const shown = ({ origin, pathname }: URL) => `${origin}${pathname}`;
