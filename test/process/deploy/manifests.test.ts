/**
 * What `hypersdk manifest` prints, held against the models of Kubernetes and Knative by tsc, which refuses a key
 * that they do not have. (Their own validation, in test/runtime/build/kubernetes.test.ts, looks at the values.)
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { hypersdk } from "../../cli.ts";
import { slow } from "../../fixtures/slowness.ts";

vi.setConfig({ testTimeout: slow(60_000) });

const ROOT = join(import.meta.dirname, "../../..");
const folder = mkdtempSync(join(ROOT, "test/fixtures/tmp-manifests-")); // where node_modules is found
afterAll(() => rmSync(folder, { recursive: true }));

const MODELS: Record<string, string> = {
  Deployment: 'import("kubernetes-models/apps/v1/Deployment").IDeployment',
  Service: 'import("kubernetes-models/v1/Service").IService',
  "Knative Service": 'import("@kubernetes-models/knative/serving.knative.dev/v1/Service").IService',
};

type Objects = Record<string, unknown>[];

/** What tsc says of each object, as a literal of its model's type. */
function check(objects: Objects): string {
  const lines = objects.map((one, i) => {
    const knative = `${one.apiVersion}`.startsWith("serving.knative.dev/");
    const model = MODELS[`${knative ? "Knative " : ""}${one.kind}`];
    return `export const object${i}: ${model} = ${JSON.stringify(one, null, 1)};`;
  });
  const file = join(folder, "objects.ts");
  writeFileSync(file, lines.join("\n"));
  const options = ["--ignoreConfig", "--noEmit", "--strict", "--skipLibCheck"];
  const modules = ["--module", "preserve", "--target", "esnext"];
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  const { stdout, status } = spawnSync(tsc, [...options, ...modules, file], {
    encoding: "utf8",
    timeout: 60_000,
  });
  return status === 0 ? "" : stdout;
}

const printed = async (...args: string[]): Promise<Objects> => {
  const { code, stdout, stderr } = await hypersdk(["manifest", ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.split(/^---$/m).map((text) => Bun.YAML.parse(text) as Objects[number]);
};

const objects = async () =>
  (
    await Promise.all([
      printed("kubernetes", "libvirt/networks", "--image", "registry.example/networks:1"),
      printed("kubernetes", "libvirt/network/create"),
      printed("knative", "libvirt/networks"),
      printed("knative", "libvirt/volume/wipe"),
    ])
  ).flat();

test("has no key but those of the models", async () => {
  const found = await objects();
  expect(found.map(({ kind }) => kind).sort()).toEqual(
    ["Deployment", "Deployment", "Service", "Service", "Service", "Service"].sort(),
  );
  expect(check(found)).toBe("");
  const text = JSON.stringify(found);
  expect(text).toContain('"image":"registry.example/networks:1"');
  expect(text).toContain('"image":"hypersdk-libvirt-volume-wipe:');
});

test.each([
  [["spec", "replica"], 2],
  [["spec", "template", "spec", "containers", "0", "readOnlyRootFilesystem"], true],
  [["spec", "template", "spec", "containers", "0", "securityContext", "runAsNonroot"], true],
  [["spec", "template", "spec", "volumes", "0", "configmap"], {}],
  [["spec", "template", "spec", "containers", "0", "ports", "0", "containerPort"], "8080"],
])("a planted %j is refused", async (path, value) => {
  for (const kind of ["kubernetes", "knative"]) {
    const [one] = await printed(kind, "libvirt/networks");
    const parent = path.slice(0, -1).reduce((at, key) => (at as never)[key], one as unknown);
    Object.assign(parent as object, { [path.at(-1) as string]: value });
    expect(check([one as Objects[number]])).toMatch(/error TS(2353|2322|2561)/);
  }
});

test("another kind, or no such function, is a usage error", async () => {
  expect(await hypersdk(["manifest", "swarm", "libvirt/networks"])).toMatchObject({ code: 2 });
  expect(await hypersdk(["manifest", "knative", "libvirt/networx"])).toMatchObject({ code: 2 });
});
