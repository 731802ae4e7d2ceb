/** What needs the database, as one module that is loaded with the first need. */
export { once } from "./idempotency.ts";
export { respondAsync } from "./respond-async.ts";
