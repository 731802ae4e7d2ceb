import { Service as KnativeService } from "@kubernetes-models/knative/serving.knative.dev/v1/Service";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { Service } from "kubernetes-models/v1/Service";
import { describe, expect, test } from "vitest";
import { knative, kubernetes } from "../../../runtime/build/kubernetes.ts";
import { describe as described } from "../../../runtime/build/manifest.ts";
import { select } from "../../../runtime/build/select.ts";
import { functionPaths } from "../../../runtime/function/load.ts";

const of = async (target: string) => ({
  manifest: await described(await select(target)),
  image: "registry.example/x@sha256:0",
});
const names = (await functionPaths()).map((path) => `${path.slice(1)}.ts`);

describe.each([...names, "libvirt/stats", "libvirt", "."])("%s", (target) => {
  test("is valid for Kubernetes and for Knative", async () => {
    const image = await of(target);
    const [deployment, service] = kubernetes(image);
    new Deployment(deployment).validate();
    new Service(service).validate();
    const [one] = knative(image);
    new KnativeService(one).validate();
    for (const { metadata } of [deployment, service, one]) {
      expect(metadata?.name).toMatch(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/); // a DNS label
      expect(metadata?.annotations?.["kubernetes.io/description"]).toContain(" /");
    }
  });
});

test("what only looks may run many times over, what changes something once", async () => {
  const [reads] = kubernetes(await of("libvirt/networks"));
  const [changes] = kubernetes(await of("libvirt/network"));
  expect(reads.spec).not.toHaveProperty("strategy");
  expect(changes.spec).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
  const annotations = (one: ReturnType<typeof knative>) =>
    one[0].spec?.template?.metadata?.annotations;
  expect(annotations(knative(await of("libvirt/networks")))).toBeUndefined();
  expect(annotations(knative(await of("libvirt/network/create")))).toEqual({
    "autoscaling.knative.dev/max-scale": "1",
  });
});

test("a container listens where it is asked for, as nobody in particular, and keeps what it needs", async () => {
  const [deployment, service] = kubernetes(await of("libvirt/networks"));
  const pod = deployment.spec?.template.spec;
  const [container] = pod?.containers ?? [];
  expect(container?.ports).toEqual([{ name: "http", containerPort: 8080 }]);
  expect(service.spec?.ports).toEqual([{ name: "http", port: 80, targetPort: "http" }]);
  expect(service.spec?.selector).toEqual(deployment.spec?.selector.matchLabels);
  expect(container?.securityContext).toMatchObject({
    runAsNonRoot: true,
    readOnlyRootFilesystem: true,
  });
  const mounted = container?.volumeMounts?.map(({ name }) => name);
  expect(pod?.volumes?.map(({ name }) => name)).toEqual(mounted);
  const [knativeContainer] =
    knative(await of("libvirt/networks"))[0].spec?.template?.spec?.containers ?? [];
  expect(knativeContainer?.ports).toEqual([{ containerPort: 8080 }]); // it knows "http1" and "h2c" only
  expect(knativeContainer?.env?.map(({ name }) => name)).not.toContain("PORT"); // its own to set
});
