/** A path that ends with an ID is another one of a function: `/things/hat` is `/thing?id=hat`. */
import { expect, test } from "vitest";
import { ask, send } from "../../fixtures/served.ts";

test.each([
  ["hat", "hat"],
  ["a%20b%2Fc", "a b/c"],
  ["%C3%BC", "ü"],
  ["100%25", "100%"],
  ["..%2Fx", "../x"],
])("the segment %j is the ID %j, for each method", async (segment, id) => {
  const answer = { message: `Thing ${id}`, data: { id, long: false } };
  expect(await ask(`/things/${segment}`)).toMatchObject({ status: 200, body: answer });
  expect(await send("POST", `/things/${segment}`, {})).toMatchObject({ status: 200, body: answer });
});

test("other fields stand where they do at the function's own path", async () => {
  expect((await ask("/things/hat?long=true")).body.data).toEqual({ id: "hat", long: true });
  expect((await ask("/thing?id=hat&long=true")).body.data).toEqual({ id: "hat", long: true });
  const { body } = await send("POST", "/things/hat", { long: true });
  expect(body.data).toEqual({ id: "hat", long: true });
});

test("the path of a file wins, also of one that does not load", async () => {
  expect((await ask("/things/query")).body.message).toBe("Things");
  expect(await ask("/things/all")).toMatchObject({
    status: 503,
    body: { error: expect.stringContaining("/things/all did not load") },
  });
});

test.each(["/things", "/things/", "/things/hat/", "/things/hat/more", "/things//hat"])(
  "%s is no endpoint",
  async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404, body: { code: "not_found" } });
  },
);

test("an ID is validated, not found and refused another method as any input", async () => {
  expect(await ask("/things/none")).toMatchObject({
    status: 404,
    body: { error: "no thing none" },
  });
  const long = await ask(`/things/${"x".repeat(21)}`);
  expect([long.status, long.body.issues[0].path]).toEqual([400, "id"]);
  expect((await ask("/things/hat?colour=red")).body.error).toContain('unknown key "colour"');
  const { status, headers } = await ask("/things/hat", { method: "DELETE" });
  expect([status, headers.get("Allow")]).toEqual([405, "GET, HEAD, POST"]);
});

test("an ID that is given twice is refused", async () => {
  const error = "id: is given by the path already";
  expect(await ask("/things/hat?id=cap")).toMatchObject({ status: 400, body: { error } });
  expect(await send("POST", "/things/hat", { id: "hat" })).toMatchObject({ body: { error } });
  expect((await send("POST", "/things/hat", [])).status).toBe(400);
});
