/** One GET to a server of images, over redirects, to an address that may be connected to. */
import { get as getByHttp, type IncomingMessage } from "node:http";
import { get as getByHttps } from "node:https";
import { isIP } from "node:net";
import { HyperError } from "../../core/errors.ts";
import { version } from "../../core/version.ts";
import { cancelled } from "../../hypervisor/collect-output.ts";
import { publicLookup } from "./address.ts";
import { assertListed, redirected, shown } from "./url.ts";

const MAX_REDIRECTS = 5;
/** Until the head of the answer is there. */
const ANSWER_TIMEOUT_MS = 20_000;

export interface Answer {
  message: IncomingMessage;
  /** Where it comes from, after the redirects. */
  url: URL;
}

/** A server that does not answer, or not as it should. */
export const serverError = (field: string, url: URL, why: string, cause?: unknown) =>
  new HyperError("command_failed", `${field}: ${url.host} ${why}`, { cause });

/** Rejects with `invalid_input` for what may not be asked, or is not there, and with `command_failed` for a server's fault. */
export async function request(
  text: string,
  field: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Answer> {
  let url = new URL(text);
  assertListed(url, field);
  for (let redirects = 0; ; redirects++) {
    const message = await getOnce(url, field, headers, signal);
    const { statusCode = 0, headers: told } = message;
    if (statusCode === 200 || statusCode === 206 || statusCode === 416) return { message, url };
    message.destroy();
    if (/^30[12378]$/.test(`${statusCode}`) && told.location) {
      if (redirects === MAX_REDIRECTS)
        throw new HyperError(
          "invalid_input",
          `${field}: redirects more than ${MAX_REDIRECTS} times`,
        );
      url = redirected(url, told.location, field);
      continue;
    }
    const why = `answers ${statusCode}${statusCode === 404 ? ": there is no such file" : ""}`;
    if (statusCode < 400 || statusCode >= 500) throw serverError(field, url, why);
    throw new HyperError("invalid_input", `${field}: ${url.host} ${why} to ${shown(url)}`);
  }
}

/** No connection is kept: each is checked when it is made. */
function getOnce(
  url: URL,
  field: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const get = url.protocol === "https:" ? getByHttps : getByHttp;
    const own = { "Accept-Encoding": "identity", "User-Agent": `hypersdk/${version}` };
    const isName = isIP(url.hostname.replace(/^\[|\]$/g, "")) === 0; // an address is itself in the list
    const look = isName ? { lookup: publicLookup(field) } : {};
    const options = { agent: false as const, ...look, headers: { ...own, ...headers } };
    const fail = (error: Error) => {
      over();
      asked.destroy();
      if (error instanceof HyperError) reject(error);
      else reject(serverError(field, url, `cannot be asked: ${error.message}`, error));
    };
    const onAbort = () => fail(cancelled("the download"));
    const late = `has not answered within ${ANSWER_TIMEOUT_MS / 1000} s`;
    const timer = setTimeout(() => fail(serverError(field, url, late)), ANSWER_TIMEOUT_MS);
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    const asked = get(url, options, (message) => {
      over();
      message.on("error", () => {}); // its reader hears of it
      resolve(message);
    });
    asked.on("error", fail);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
