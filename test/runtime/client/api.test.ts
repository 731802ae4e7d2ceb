import { readFileSync } from "node:fs";
import { expect, expectTypeOf, test } from "vitest";
import type { Call, Data, Input } from "../../../runtime/client/types.ts";
import { methodsOf } from "../../../runtime/core/method.ts";
import { API_FILE, apiTypes } from "../../../runtime/dev/api-types.ts";
import { allFunctions } from "../../fixtures/functions.ts";

test("api.ts is what `npm run generate` writes", async () => {
  expect(readFileSync(API_FILE, "utf8"), "run npm run generate").toBe(await apiTypes());
});

test("it names every function that answers JSON, with its method, and nothing else", async () => {
  const lines = (await apiTypes()).split("\n").filter((line) => line.includes("typeof import("));
  const wanted = (await allFunctions()).flatMap(({ path, function: one }) =>
    one && !one.spec.media
      ? methodsOf(one.spec).map(
          (method) => `  "${method} ${path}": typeof import("../../functions${path}.ts").default;`,
        )
      : [],
  );
  expect(lines.sort()).toEqual(wanted.sort());
});

test("inputs and answers have the types of the schemas", () => {
  expectTypeOf<Input<"GET /libvirt/network">>().toEqualTypeOf<{ name: string }>();
  expectTypeOf<Input<"POST /libvirt/network/create">["forward"]>().toEqualTypeOf<
    "nat" | "route" | "open" | "bridge" | "none" | undefined
  >();
  expectTypeOf<Data<"GET /libvirt/networks">["networks"][number]["active"]>().toBeBoolean();
  expectTypeOf<Input<"POST /libvirt/volume/create">["capacity"]>().toEqualTypeOf<string | number>();

  const call = (async () => {}) as unknown as Call;
  const typed = () => {
    call("GET /libvirt/networks");
    call("GET /libvirt/networks", {}, { host: "kvm1" });
    call("POST /libvirt/volume/wipe", { pool: "p", volume: "v", algorithm: "dod" });
    // @ts-expect-error the wrong method
    call("POST /libvirt/networks");
    // @ts-expect-error a required field is missing
    call("GET /libvirt/network");
    // @ts-expect-error no such field
    call("POST /libvirt/network/create", { name: "lan", bridg: "virbr1" });
    // @ts-expect-error no such algorithm
    call("POST /libvirt/volume/wipe", { pool: "p", volume: "v", algorithm: "magic" });
  };
  expectTypeOf(typed).toBeFunction();
});
