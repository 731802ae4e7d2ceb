// The base of our container images, built as deploy/containers says, but on the Debian that the lab has: no
// registry is asked. `bun test/lab/image.ts` builds it; that takes the network, so it must run outside the lab.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { debianGuest } from "./debian.ts";
import { recipeOf } from "./debian-build.ts";

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "hypersdk", "image");
export const CONTAINERS = join(import.meta.dirname, "../../deploy/containers");
const FILE = join(CONTAINERS, "base.Containerfile");

const RECIPE = createHash("sha256")
  .update([recipeOf(false), Bun.version, readFileSync(FILE, "utf8")].join())
  .digest("hex")
  .slice(0, 16);

/** Runs buildah on the lab's images; what it prints. `chroot` needs no more than root of the machine. */
export function buildah(store: string, run: string, ...args: string[]): string {
  const where = ["--root", store, "--runroot", run];
  return execFileSync("buildah", [...where, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, BUILDAH_ISOLATION: "chroot" },
    timeout: 300_000,
    maxBuffer: 64 * 1024 * 1024,
  });
}

/** Where buildah keeps the image localhost/hypersdk-base; built on first use. */
export function baseImage(): string {
  const home = join(CACHE, RECIPE);
  if (existsSync(home)) return join(home, "store");
  if (process.env.HYPERSDK_LAB === "1") {
    throw new Error("The base image is not built. Outside the lab, run: bun test/lab/image.ts");
  }
  const { disk } = debianGuest();
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "build-"));
  try {
    const made = join(work, "made");
    build(disk, work, join(made, "store"));
    // another process may have been first
    if (!existsSync(home)) renameSync(made, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return join(home, "store");
}

function build(disk: string, work: string, store: string) {
  const run = join(work, "run");
  const [raw, root] = [join(work, "disk.raw"), join(work, "root")];
  execFileSync("qemu-img", ["convert", "-O", "raw", disk, raw], { timeout: 120_000 });
  mkdirSync(root);
  execFileSync("debugfs", ["-R", `rdump / ${root}`, raw], { timeout: 300_000, stdio: "ignore" });
  const debian = buildah(store, run, "from", "scratch").trim();
  buildah(store, run, "copy", "--quiet", debian, root, "/");
  buildah(store, run, "commit", "--quiet", debian, "localhost/debian");
  buildah(store, run, "rm", debian);
  const args = ["--network", "host", "--build-arg", "DEBIAN=localhost/debian", "--file", FILE];
  const bun = dirname(realpathSync(process.execPath));
  buildah(store, run, "build", "--quiet", ...args, "--tag", "localhost/hypersdk-base", bun);
}

if (import.meta.main) console.log(baseImage());
