/** What both pages do: a ticket for each connection, a line about its state, and connecting again. */
import { STATUS } from "../../core/errors.ts";
import { ANSWER_MS, type Line, whileReached } from "./alive.ts";

/** Reasons after which it is no use to connect again by itself. */
export const FINAL =
  /^(in_use|moved|forbidden|unsupported|not_found|permission_denied|refused)\b|token/;

const RETRY_MS = 2000;
/** After so long the server has noticed that a connection is dead, and has given up what it held. */
const FORGOTTEN_MS = 120_000;
const query = new URLSearchParams(location.search);
export const name = query.get("name") ?? "";
export const isView = ["1", "true"].includes(query.get("view") ?? "");

/** Given by whoever may call without a browser; good for the first connection. */
let given = query.get("ticket");
/** Kept in this page alone, until it is closed. */
let token = "";

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

export function say(text: string, isError = false) {
  const line = element("state");
  line.textContent = text;
  line.classList.toggle("error", isError);
}

/** Asks in the page's own dialog; undefined when it is cancelled. */
export function ask(what: string): Promise<string | undefined> {
  const dialog = element<HTMLDialogElement>("ask");
  const input = element<HTMLInputElement>("answer");
  element("question").textContent = what;
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => resolve(dialog.returnValue === "ok" ? input.value : undefined),
      { once: true },
    );
  });
}

/** The URL of the console itself, with a ticket of its own. Throws what the server says against it. */
export async function socketUrl(kind: "vnc" | "serial", more: Record<string, string> = {}) {
  const url = new URL(location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  url.searchParams.delete("force"); // only by the button
  for (const [key, value] of Object.entries(more)) url.searchParams.set(key, value);
  url.searchParams.set("ticket", given ?? (await newTicket(kind)));
  given = null;
  return url.href;
}

const UNREACHED = "The server cannot be reached";
const authorization = (): Record<string, string> =>
  token ? { Authorization: `Bearer ${token}` } : {};

async function newTicket(kind: string): Promise<string> {
  const url = new URL("ticket", location.href);
  const host = query.get("host");
  if (host) url.searchParams.set("host", host);
  for (;;) {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization() },
      body: JSON.stringify({ name, kind, view: isView }),
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch(() => {
      throw new Error(UNREACHED);
    });
    const answer = await response.json();
    if (response.ok) return answer.data.ticket;
    const isFinal = response.status < 500 && response.status !== 429;
    if (response.status !== 401) throw new Error(`${isFinal ? "refused: " : ""}${answer.error}`);
    const typed = await ask("A token is needed:");
    if (typed === undefined) throw new Error(`refused: ${answer.error}`);
    token = typed.trim();
  }
}

/** Calls `connect` now and after each end, which it tells by calling `over`; `use` takes the WebSocket that it has opened. */
export function keepConnected(
  connect: (
    over: (why: string, again?: boolean) => void,
    use: (line: Line) => void,
  ) => Promise<void>,
) {
  let line: Line | undefined;
  const use = (opened: Line) => {
    line = opened;
  };
  let timer = 0;
  let leave = () => {};
  let lostAt = Number.NEGATIVE_INFINITY;
  const button = element<HTMLButtonElement>("reconnect");
  const lost = () => {
    lostAt = performance.now();
    over(UNREACHED);
  };
  const begin = () => {
    clearTimeout(timer);
    leave();
    line = undefined;
    leave = whileReached(authorization, () => line, lost);
    button.hidden = true;
    say("Connecting …");
    connect(over, use).catch((error: Error) => over(error.message, !FINAL.test(error.message)));
  };
  const over = (why: string, again = true) => {
    leave();
    if (/^in_use/.test(why) && performance.now() - lostAt < FORGOTTEN_MS)
      return over("The server still holds the connection that was lost");
    const text = sentence(why);
    say(again ? `${text} – connecting again …` : text, true);
    button.hidden = false;
    clearTimeout(timer);
    if (again) timer = window.setTimeout(begin, RETRY_MS);
  };
  button.addEventListener("click", begin);
  begin();
}

/** Without the word for programs before it. */
function sentence(why: string): string {
  const [, word = "", rest = ""] = /^([a-z_]+): (.*)$/s.exec(why) ?? [];
  const text = word in STATUS || ["moved", "refused"].includes(word) ? rest : why;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function fullScreen() {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void document.documentElement.requestFullscreen();
}

document.title = `${name} – ${document.title}`;
element("name").textContent = name;
element("full").addEventListener("click", fullScreen);
