/** One function, many ways to call it, which must say the same. */
import pLimit from "p-limit";
import { expect } from "vitest";
import { loadFunctions } from "../../runtime/functions.ts";
import type { Ran } from "../cli.ts";
import type { TestServer } from "../server.ts";
import { clean, defineDomain, defineNetwork, virsh } from "./virsh.ts";

export type Input = Record<string, unknown>;
export interface Outcome {
  data?: unknown;
  error?: { code: string; error: string };
}
export type Way = (path: string, input: Input) => Promise<Outcome>;

export const functions = (await loadFunctions()).flatMap(({ path, function: one }) =>
  one ? [{ path, one }] : [],
);

export const specOf = (path: string) => functions.find((known) => known.path === path)?.one.spec;

export const overHttp =
  (server: () => TestServer): Way =>
  async (path, input) => {
    const query = new URLSearchParams(
      Object.entries(input).map(([key, one]): [string, string] => [key, `${one}`]),
    );
    const get = specOf(path)?.method === "GET";
    const { body } = await (get ? server().get(`${path}?${query}`) : server().post(path, input));
    if (body.error) return { error: { code: body.code, error: body.error } };
    return { data: body.status === "success" ? body.data : body };
  };

/** The fields as they are typed. */
export const words = (input: Input) =>
  Object.entries(input).flatMap(([key, value]) => [value].flat().map((one) => `${key}=${one}`));

/** What a program that was asked for JSON has said. */
export function outcome({ stdout, stderr }: Ran): Outcome {
  if (stdout) return { data: JSON.parse(stdout) };
  const { code, error } = JSON.parse(stderr);
  return { error: { code, error } };
}

/** What differs from call to call, or from process to process. */
const VOLATILE =
  /^(uptime_seconds|latency_ms|start_time|end_time|duration|uuid|mac|macs|uri|request_id)$/;
/** A command has the URI in it, which is another one for each way with `npm run test:remote`. */
const steady = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, one) => {
      if (VOLATILE.test(key)) return typeof one;
      return key === "command" ? `${one}`.replace(/ -c \S+/, "") : one;
    }),
  );

/** What all ways say, which is the same; one after the other where something is to be done in `between`. */
export async function agreed(
  ways: Record<string, Way>,
  path: string,
  input: Input,
  between?: () => Promise<void>,
): Promise<Outcome> {
  const said: Record<string, unknown> = {};
  const limit = pLimit(between ? 1 : 4);
  await limit.map(Object.entries(ways), async ([way, call]) => {
    said[way] = steady(await call(path, input));
    await between?.();
  });
  for (const way of Object.keys(ways)) expect(said[way], way).toEqual(said.http);
  return said.http as Outcome;
}

/** Something to look at for every function that reads. */
export async function prepareReads() {
  await defineNetwork("lan it's");
  await defineDomain("off ü");
  await defineDomain("on", { verb: "create" });
  await virsh("suspend", "on"); // its numbers stand still
  await virsh("vol-create-as", "default", "disk 1", "1M", "--format", "qcow2");
  const path = (await virsh("vol-path", "disk 1", "default")).trim();
  await virsh("attach-disk", "off ü", path, "vda", "--config", "--subdriver", "qcow2");
  await virsh("snapshot-create-as", "off ü", "first");
}

export async function cleanReads() {
  await virsh("snapshot-delete", "off ü", "first");
  await virsh("vol-delete", "disk 1", "--pool", "default");
  await clean();
}

const INPUTS: Record<string, Input> = {
  "/libvirt/network": { name: "lan it's" },
  "/libvirt/console": { name: "on" },
  "/libvirt/volumes": { pool: "default" },
  "/libvirt/volume/info": { pool: "default", volume: "disk 1" },
};

/** Every function that reads, with an input; but pages, and what depends on who asks. */
export const reads = functions
  .filter(({ path, one: { spec } }) => spec.method === "GET" && !spec.media && path !== "/whoami")
  .map(({ path, one }): [path: string, input: Input] => {
    const named = Object.keys(one.spec.input.shape).includes("name");
    return [path, INPUTS[path] ?? (named ? { name: "off ü" } : {})];
  });
