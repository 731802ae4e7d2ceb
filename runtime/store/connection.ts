/** How a connection to the database is made, and how long anything on it may take. */
import type { ClientConfig } from "pg";

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** For a server that does not say that the statement has taken too long. */
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 5000;
/** A client that is gone without a word keeps no lock longer. */
const IDLE_TRANSACTION_TIMEOUT_MS = 60_000;

/** Of a URL, or of the folder of a socket. */
export function optionsOf(address: string): ClientConfig {
  const place = address.startsWith("/")
    ? { host: address, port: 5432, user: "hypersdk", database: "postgres", ssl: false }
    : { connectionString: address };
  return {
    ...place,
    application_name: "hypersdk",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
    keepAlive: true,
    options: "-c search_path=hypersdk",
  };
}
