import { type ErrorCode, HyperError } from "../core/errors.ts";

/** An error answer: `code`, `status` and `details` are the server's. */
export class RemoteError extends HyperError {
  readonly #status: number;

  constructor(status: number, code: ErrorCode, message: string, details = {}) {
    super(code, message, { details });
    this.name = "RemoteError";
    this.#status = status;
  }

  override get status() {
    return this.#status;
  }
}
