/**
 * Manifests for Kubernetes and Knative, from what the functions declare. They refer to configuration and secrets:
 * ConfigMap `hypersdk` holds hypersdk.toml, Secret `hypersdk` tokens.json, SSH keys and known_hosts.
 */
import type { IService as IKnativeService } from "@kubernetes-models/knative/serving.knative.dev/v1/Service";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPodSpec } from "kubernetes-models/v1/PodSpec";
import type { IService } from "kubernetes-models/v1/Service";
import type { Described } from "./manifest.ts";

/** The bundle that a container runs, and the container's image. */
export interface BundleImage {
  manifest: Described;
  image: string;
}

/** The user that deploy/containers/base.Containerfile makes. */
const USER = 65532;

/** The container's port; Knative sets PORT to it. */
const PORT = 8080;

/** Knative's limit for an answer; 600 is its maximum unless its operator raises it. */
const TIMEOUT_SECONDS = { read: 60, change: 600 };

/** Longer than `[limits] shutdown`. */
const GRACE_SECONDS = 45;

const SECRETS = "/etc/hypersdk-secrets";

export function knative({ manifest, image }: BundleImage): [IKnativeService] {
  const { containers, volumes } = pod(manifest, image);
  const once = changes(manifest);
  return [
    {
      apiVersion: "serving.knative.dev/v1",
      kind: "Service",
      metadata: metadata(manifest),
      spec: {
        template: {
          metadata: {
            labels: labels(manifest),
            ...(once && { annotations: { "autoscaling.knative.dev/max-scale": "1" } }),
          },
          spec: {
            enableServiceLinks: false,
            automountServiceAccountToken: false,
            timeoutSeconds: once ? TIMEOUT_SECONDS.change : TIMEOUT_SECONDS.read,
            // Knative refuses the port name "http"
            containers: containers.map((container) => ({
              ...container,
              ports: [{ containerPort: PORT }],
            })),
            volumes,
          },
        },
      },
    },
  ];
}

export function kubernetes({ manifest, image }: BundleImage): [IDeployment, IService] {
  const { containers, volumes } = pod(manifest, image);
  const [container] = containers;
  const selector = { "app.kubernetes.io/name": manifest.name };
  const deployment: IDeployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(manifest),
    spec: {
      replicas: 1,
      ...(changes(manifest) && { strategy: { type: "Recreate" } }),
      selector: { matchLabels: selector },
      template: {
        metadata: { labels: labels(manifest) },
        spec: {
          enableServiceLinks: false,
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: GRACE_SECONDS,
          securityContext: { fsGroup: USER },
          containers: [{ ...container, ...probes() } as IContainer],
          volumes,
        },
      },
    },
  };
  const service: IService = {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata(manifest),
    spec: { selector, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  };
  return [deployment, service];
}

/** A function that changes something runs in one process only, because it locks out concurrent changes within its process. */
const changes = ({ functions }: Described) => functions.some(({ access }) => access !== "read");

const labels = ({ name, version }: Described) => ({
  "app.kubernetes.io/name": name,
  "app.kubernetes.io/version": version,
  "app.kubernetes.io/part-of": "hypersdk",
});

const metadata = (manifest: Described) => ({
  name: manifest.name,
  labels: labels(manifest),
  annotations: {
    "kubernetes.io/description": manifest.functions
      .map(({ method, path, summary }) => `${method} ${path}: ${summary}`)
      .join("\n"),
  },
});

/** Probes open a connection only, because a request would need a token. */
const probes = (): Pick<IContainer, "readinessProbe" | "livenessProbe"> => ({
  readinessProbe: { tcpSocket: { port: "http" }, periodSeconds: 5 },
  livenessProbe: { tcpSocket: { port: "http" }, periodSeconds: 20, failureThreshold: 3 },
});

function pod(
  { name }: Described,
  image: string,
): Required<Pick<IPodSpec, "containers" | "volumes">> {
  const mounts = {
    config: "/etc/hypersdk",
    secrets: SECRETS,
    state: "/var/lib/hypersdk",
    tmp: "/tmp",
  };
  const readOnly = ["config", "secrets"];
  const container: IContainer = {
    name,
    image,
    ports: [{ name: "http", containerPort: PORT }],
    env: [
      { name: "HOST", value: "::" },
      { name: "HYPERSDK_CONFIG", value: "/etc/hypersdk/hypersdk.toml" },
      { name: "XDG_STATE_HOME", value: mounts.state },
    ],
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "256Mi" } },
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    volumeMounts: Object.entries(mounts).map(([name, mountPath]) => ({
      name,
      mountPath,
      ...(readOnly.includes(name) && { readOnly: true }),
    })),
  };
  return {
    containers: [container],
    volumes: [
      { name: "config", configMap: { name: "hypersdk" } },
      // the files belong to root, and the container's user must read them; it is the only user there
      { name: "secrets", secret: { secretName: "hypersdk", defaultMode: 0o444 } },
      { name: "state", emptyDir: {} },
      { name: "tmp", emptyDir: {} },
    ],
  };
}
