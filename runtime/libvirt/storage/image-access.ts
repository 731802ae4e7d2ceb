/**
 * What the hypervisor's login user may do with images itself. libvirtd does the rest where it can; what remains
 * needs root, and is refused before anything is begun.
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { pathExists } from "../program.ts";
import { dataFileOf, readImageChain } from "./image-chain.ts";

type Login = Pick<Context, "exec" | "host">;

const readable = new WeakMap<Login, Map<string, Promise<boolean>>>();

/** Whether the login user may read an image and all those below it; asked once in a call. */
export function mayRead(ctx: Login, path: string, format: string): Promise<boolean> {
  const known = readable.get(ctx) ?? new Map<string, Promise<boolean>>();
  readable.set(ctx, known);
  const key = `${format}:${path}`;
  const answer = known.get(key) ?? canRead(ctx, path, format);
  known.set(key, answer);
  return answer;
}

async function canRead(ctx: Login, path: string, format: string): Promise<boolean> {
  let isDenied = false;
  const enter = async (file: string) => {
    const isReadable = await allows(ctx, "-r", file);
    isDenied ||= !isReadable && !(await isMissing(ctx, file)); // what is missing is the copy's to tell
    return isReadable;
  };
  if (format === "raw") {
    await enter(path);
    return !isDenied;
  }
  try {
    const chain = await readImageChain(ctx.exec, path, format, enter);
    for (const file of chain.flatMap((info) => dataFileOf(info) ?? [])) await enter(file);
  } catch (error) {
    if (!(error instanceof HyperError) || error.code === "unsupported") throw error;
    isDenied ||= /Permission denied/.test(error.message); // other damage is the copy's to tell
  }
  return !isDenied;
}

const isMissing = async (ctx: Login, path: string) =>
  !(await pathExists(ctx, path).catch(() => true));

/** Whether the login user may write to a file or a device, or make files in a folder. */
export const mayWrite = (ctx: Login, path: string) => allows(ctx, "-w", path);

async function allows({ exec }: Login, right: "-r" | "-w", path: string): Promise<boolean> {
  const result = await exec(["test", right, path]);
  if (result.exitCode > 1) throw programError("test", result);
  return result.exitCode === 0;
}

/** The refusal of what neither the login user nor libvirtd can do. */
export function needsRoot({ host }: Login, what: string): HyperError {
  const text = `${what}, which the login user of hypervisor ${host} may not do: log in as root there, or set sudo = true in [hosts.${host}]`;
  return new HyperError("permission_denied", text);
}
