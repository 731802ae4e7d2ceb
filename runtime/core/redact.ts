/** Hides secrets in what is kept or shown. */

const SECRET =
  /pass|secret|token|credential|private|^(user_data|vendor_data|content|text|headers|webhook_url)$/i;
/** A user and a password before the host, and a query: either may be what opens the door. */
const URL_SECRETS = /^(https?:\/\/)(?:[^/?#]*@)?([^?#]*)(\?.*)?$/is;
const MAX_TEXT_CHARACTERS = 4096;

/** Hides the fields whose names say that they are secret, or that hold whole files; cuts very long texts. */
export function redact(value: unknown): unknown {
  if (typeof value === "string" && value.length > MAX_TEXT_CHARACTERS) {
    return `${value.slice(0, MAX_TEXT_CHARACTERS).toWellFormed()}… (${value.length} characters)`;
  }
  if (typeof value === "string") return redactUrl(value);
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [
    key,
    SECRET.test(key) ? "[redacted]" : redact(one),
  ]);
  return Object.fromEntries(entries);
}

const redactUrl = (text: string) =>
  text.replace(URL_SECRETS, (_, scheme, rest, query) => {
    return `${scheme}${rest}${query ? "?[redacted]" : ""}`;
  });
