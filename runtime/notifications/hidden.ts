/** Secrets of receivers: shown as "***", and kept where that is given back. */
import { HyperError } from "../core/errors.ts";
import { HIDDEN, type ReceiverName, type ReceiverSettings } from "./receivers.ts";

/** Whole values. Of a webhook the values of its headers are, and the query of its URL. */
const SECRETS = ["password", "webhook_url", "token", "secret"];

type Fields = Record<string, unknown>;

export function hideSecrets(settings: ReceiverSettings): Fields {
  return Object.fromEntries(
    Object.entries(settings as Fields).map(([key, value]) => {
      if (SECRETS.includes(key)) return [key, HIDDEN];
      if (key === "headers") return [key, hideAll(value as Fields)];
      return [key, key === "url" ? hideQuery(`${value}`) : value];
    }),
  );
}

const hideAll = (headers: Fields) =>
  Object.fromEntries(Object.keys(headers).map((name) => [name, HIDDEN]));

const hideQuery = (url: string) => url.replace(/\?.*$/s, `?${HIDDEN}`);

/** Puts the stored secrets where the given settings have their "***". Throws `invalid_input` where none is stored. */
export function keepSecrets(name: ReceiverName, given: Fields, stored: Fields | undefined): Fields {
  const missing = (field: string) =>
    new HyperError(
      "invalid_input",
      `${name}.${field}: "***" stands for a secret, and none is stored`,
    );
  const kept = (field: string, value: unknown, of: Fields | undefined, key: string) => {
    if (value !== HIDDEN) return value;
    if (of?.[key] === undefined) throw missing(field);
    return of[key];
  };
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      if (SECRETS.includes(key)) return [key, kept(key, value, stored, key)];
      if (key === "headers") {
        const before = stored?.headers as Fields | undefined;
        const headers = Object.entries((value ?? {}) as Fields).map(([header, text]) => {
          return [header, kept(`headers.${header}`, text, before, header)];
        });
        return [key, Object.fromEntries(headers)];
      }
      if (key !== "url" || !`${value}`.endsWith(`?${HIDDEN}`)) return [key, value];
      if (hideQuery(`${stored?.url}`) !== value) throw missing("url");
      return [key, stored?.url];
    }),
  );
}
