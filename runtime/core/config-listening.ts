/**
 * The settings that the environment may give, too: what is wrong with one, or undefined. They are no schemas, since making
 * one and parsing with it takes the start of a bundle 2 ms.
 */

export function portProblem(port: number): string | undefined {
  const valid = Number.isInteger(port) && port >= 0 && port <= 65535;
  return valid ? undefined : "must be a number, 0 to 65535";
}

/** The socket to listen on, in the place of an address. */
export function listenProblem(listen: string): string | undefined {
  const valid = /^unix:\/[^\0]+$/.test(listen);
  return valid ? undefined : "must be a Unix socket such as unix:/run/hypersdk.sock";
}
