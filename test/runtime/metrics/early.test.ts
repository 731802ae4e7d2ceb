/** What happens before prom-client is loaded is counted once it is. */
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { observer } from "../../../runtime/events/bus.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { MEDIA, metricsText } from "../../../runtime/metrics/early.ts";

async function requests() {
  await metricsText({ requestedHosts: [] as string[] } as Context);
  const { ownMetrics } = await import("../../../runtime/metrics/own.ts");
  return (await ownMetrics()).split("\n").filter((line) => line.startsWith("hypersdk_requests_"));
}

test("requests before it is loaded and after", async () => {
  observer.request?.("/libvirt/networks", 200, 3);
  observer.request?.("/libvirt/networks", 200, 5);
  const counted = 'hypersdk_requests_total{function="/libvirt/networks",status="200"}';
  expect(await requests()).toEqual([`${counted} 2`]);
  observer.request?.("/libvirt/networks", 200, 7);
  expect(await requests()).toEqual([`${counted} 3`]);
});

test("the content type is prom-client's", () => {
  expect(MEDIA).toBe(Registry.PROMETHEUS_CONTENT_TYPE);
});
