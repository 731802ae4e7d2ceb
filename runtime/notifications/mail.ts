/** A mail, by SMTP with a checked certificate. */
import { isIP } from "node:net";
import { connectTo, isIn } from "../core/destination.ts";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { allowed, authorities } from "./allowed.ts";
import { type Message, shorten } from "./message.ts";
import type { ReceiverSettings } from "./receivers.ts";

const TIMEOUT_MS = 15_000;
const LOOPBACK = ["127.0.0.0/8", "::1/128"];

/** Throws `invalid_input` for a server that is not allowed, and `unreachable` for one that does not take it. */
export async function sendMail(settings: ReceiverSettings<"email">, message: Message) {
  const { smtp_server: host, port, security, username, password, from, to } = settings;
  const socket = await connectTo(host, port, allowed());
  try {
    if (security === "none" && !isIn(`${socket.remoteAddress}`, LOOPBACK)) {
      const text = 'email.security: "none" is only for a mail server on this machine';
      throw new HyperError("invalid_input", text);
    }
    const { createTransport } = await import("nodemailer");
    const ca = authorities();
    const transport = createTransport({
      ...{ host, port, connection: socket, secure: security === "tls" },
      ...{ requireTLS: security === "starttls", ignoreTLS: security === "none" },
      tls: { ...(isIP(host) ? {} : { servername: host }), ...(ca && { ca }) },
      ...(username && { auth: { user: username, pass: password ?? "" } }),
      ...{ greetingTimeout: TIMEOUT_MS, socketTimeout: TIMEOUT_MS, connectionTimeout: TIMEOUT_MS },
      ...{ disableFileAccess: true, disableUrlAccess: true },
    });
    const { rejected } = await transport.sendMail({
      ...{ from, to, subject: message.data.title, text: `${shorten(message.data.text)}\n` },
      messageId: `<${message.id}@hypersdk>`, // by which a repeat is known
      date: new Date(message.timestamp),
      headers: { "Auto-Submitted": "auto-generated", "X-HyperSDK-Type": message.type },
    });
    transport.close();
    if (rejected.length === 0) return;
    const text = `${host} did not take the mail for ${rejected.length} of ${to.length} addresses`;
    if (message.type === "test") throw new HyperError("unreachable", text);
    log.warn({ message: message.id }, text); // the others would get a repeat
  } catch (error) {
    if (error instanceof HyperError) throw error;
    const { code, response, message: text } = error as Error & { code?: string; response?: string };
    const why = response ?? `${code ?? ""} ${text}`.trim();
    throw new HyperError("unreachable", `${host} did not take the mail: ${why}`, { cause: error });
  } finally {
    socket.destroy();
  }
}
