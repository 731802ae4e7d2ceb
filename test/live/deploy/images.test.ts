/** The container images: built by buildah without a registry, each the base and one bundle; and called. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hypersdk } from "../../cli.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { baseImage, buildah, CONTAINERS } from "../../lab/image.ts";

const store = baseImage();
const folder = mkdtempSync(join(tmpdir(), "images-"));
const bud = (...args: string[]) => buildah(store, join(folder, "run"), ...args).trim();
const TAG = `localhost/test-${process.pid}`;
const images = { function: `${TAG}-function`, host: `${TAG}-host` };

beforeAll(async () => {
  const out = ["--out", join(folder, "build")];
  for (const target of ["libvirt/networks", "."]) await hypersdk(["build", target, ...out]);
  const file = (name: string) => ["--file", join(CONTAINERS, `${name}.Containerfile`)];
  const one = ["--build-arg", "FUNCTION=libvirt-networks"];
  bud("build", ...file("function"), ...one, "--tag", images.function, join(folder, "build"));
  bud("build", ...file("host"), "--tag", images.host, join(folder, "build"));
}, slow(240_000));
afterAll(() => {
  bud("rmi", "--force", images.function, images.host);
  rmSync(folder, { recursive: true });
});

interface Config {
  User: string;
  Env: string[];
  Entrypoint: string[];
  Cmd: string[];
  ExposedPorts: object;
}
const inspect = (image: string) => {
  const { OCIv1 } = JSON.parse(bud("inspect", "--type", "image", image));
  return { config: OCIv1.config as Config, layers: OCIv1.rootfs.diff_ids as string[] };
};

test("an image is the base and what holds the bundle", () => {
  const base = inspect("localhost/hypersdk-base").layers;
  for (const image of Object.values(images)) {
    const { layers } = inspect(image);
    expect(layers.slice(0, base.length)).toEqual(base);
    expect(layers.length).toBe(base.length + 1); // buildah makes one of the instructions
  }
});

test("it is nobody's in particular, and says where it listens", () => {
  const { config } = inspect(images.function);
  expect(config).toMatchObject({
    User: "65532:65532",
    Entrypoint: ["bun", "--no-env-file"],
    Cmd: ["function.js"],
    ExposedPorts: { "8080/tcp": {} },
  });
  expect(config.Env).toEqual(expect.arrayContaining(["HOST=::", "PORT=8080"]));
});

/** As Kubernetes mounts them: of root, and readable for everybody in the container. */
async function mounts(tokens: boolean) {
  const at = mkdtempSync(join(folder, "mounts-"));
  const [config, secrets, state] = ["config", "secrets", "state"].map((name) => join(at, name)) as [
    string,
    string,
    string,
  ];
  for (const one of [config, secrets, state]) mkdirSync(one);
  chmodSync(at, 0o755);
  chmodSync(state, 0o777);
  const text = readFileSync(join(CONTAINERS, "hypersdk.toml"), "utf8");
  writeFileSync(join(config, "hypersdk.toml"), `${text}\n[hosts.test]\nuri = "test:///default"\n`);
  let token = "";
  if (tokens) {
    const own = join(at, "own.toml");
    writeFileSync(own, `[access]\ntokens = "${join(secrets, "tokens.json")}"\n`);
    const made = await hypersdk(["token", "create", "ci", "--role", "read"], {
      env: { HYPERSDK_CONFIG: own },
    });
    expect(made.code, made.stderr).toBe(0);
    token = /hsk_[\w-]+/.exec(made.stdout + made.stderr)?.[0] ?? "";
    chmodSync(join(secrets, "tokens.json"), 0o444);
  }
  return {
    token,
    volumes: [
      ...["--volume", `${config}:/etc/hypersdk:ro`],
      ...["--volume", `${secrets}:/etc/hypersdk-secrets:ro`],
      ...["--volume", `${state}:/var/lib/hypersdk:rw`],
    ],
  };
}

interface Container {
  child: ChildProcess;
  said(): string;
  ended: Promise<number | null>;
}

/** Starts what the image says, with the network of the lab. */
function start(image: string, volumes: string[], env: Record<string, string>) {
  const container = bud("from", image);
  const { Entrypoint, Cmd } = inspect(image).config;
  const variables = Object.entries(env).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  const args = ["run", ...variables, ...volumes, container, "--", ...Entrypoint, ...Cmd];
  const child = spawn("buildah", ["--root", store, "--runroot", join(folder, "run"), ...args], {
    env: { ...process.env, BUILDAH_ISOLATION: "chroot" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data) => {
      text += data;
    });
  }
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      bud("rm", container);
      resolve(code);
    });
  });
  return { child, said: () => text, ended } satisfies Container;
}

describe.each([
  ["function", "/libvirt/networks"],
  ["host", "/libvirt/pools"],
] as const)("a container of the %s image", (kind, path) => {
  test("answers whoever has a token, on every address and the port it is given, and ends with SIGTERM", {
    timeout: slow(90_000),
  }, async () => {
    const { token, volumes } = await mounts(true);
    const { child, said, ended } = start(images[kind], volumes, { PORT: "8099" });
    try {
      const get = (address: string, headers = {}) =>
        fetch(`http://${address}:8099${path}?host=test`, { headers });
      await until(
        "it listens",
        () =>
          get("127.0.0.1").then(
            () => true,
            () => false,
          ),
        30,
      ).catch((error) => expect(error, said()).toBeUndefined());
      for (const address of ["127.0.0.1", "[::1]"]) {
        expect((await get(address)).status, address).toBe(401);
        const answer = await get(address, { Authorization: `Bearer ${token}` });
        expect(answer.status, said()).toBe(200);
        expect(await answer.json()).toMatchObject({ status: "success", data: { total: 1 } });
      }
    } finally {
      stop(child);
    }
    expect(await ended).toBe(0);
  });

  test("does not start where nobody could be told apart", { timeout: slow(90_000) }, async () => {
    const { volumes } = await mounts(false);
    const { said, ended } = start(images[kind], volumes, {});
    expect(await ended).toBe(1);
    expect(said()).toMatch(/hypersdk: a server on :: needs a token/);
  });
});

/** The process in the container, as a runtime would: buildah passes no signal on. */
function stop(child: ChildProcess) {
  const tree = execFileSync("ps", ["--no-headers", "-eo", "pid,ppid,comm"], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  const below = (pid: string): string[][] =>
    tree.filter(([, parent]) => parent === pid).flatMap((one) => [one, ...below(`${one[0]}`)]);
  const bun = below(`${child.pid}`).find(([, , name]) => name === "bun");
  process.kill(Number(bun?.[0]), "SIGTERM");
}
