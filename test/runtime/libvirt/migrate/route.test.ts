/** The way of a guest's memory is tried without harm to another guest that is on it. */
import { Duplex } from "node:stream";
import { beforeAll, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import type { StreamTarget } from "../../../../runtime/hypervisor/transport.ts";
import { checkRoute } from "../../../../runtime/libvirt/migrate/route.ts";
import type { Sides } from "../../../../runtime/libvirt/migrate/sides.ts";
import { answering, fakeVirsh } from "../../../fixtures/fake.ts";

beforeAll(() => {
  fakeVirsh();
});

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";

/** Two whose target has one paused guest of this state. Ports refuse, sockets answer. */
function sides(state: string) {
  const ports: number[] = [];
  const openStream = async (target: StreamTarget) => {
    if ("path" in target) return new Duplex();
    ports.push(target.port);
    throw new HyperError("unreachable", "connect ECONNREFUSED");
  };
  const side = (host: string) => ({
    ...answering((verb) => (verb === "list" ? `${UUID}\n` : `${state}\n\n`)),
    ...{ host, uri: "qemu:///system", openStream },
  });
  const route = { live: true, migrate_host: "10.0.0.2" };
  return { ports, sides: { source: side("a"), target: side("b"), route } as unknown as Sides };
}

test("libvirt's last port is tried, which no QEMU has before all others are taken", async () => {
  const { sides: given, ports } = sides("paused (user)");
  expect((await checkRoute(given)).at(-1)).toMatchObject({ item: "route", status: "pass" });
  expect(ports).toEqual([49215]);
});

test("none is tried while a guest arrives there", async () => {
  const { sides: given, ports } = sides("paused (migrating)");
  expect((await checkRoute(given)).at(-1)).toMatchObject({
    ...{
      item: "route",
      status: "warning",
      message: expect.stringMatching(/another guest arrives/),
    },
  });
  expect(ports).toEqual([]);
});
