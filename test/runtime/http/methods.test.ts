/** A function of two methods, or of PUT: a query means the same as a body, and an answer has status and headers. */
import { describe, expect, test } from "vitest";
import { ask, send } from "../../fixtures/served.ts";

describe("two methods of one path", () => {
  test.each<[string, object]>([
    ["", {}],
    ["limit=5&all=true", { limit: 5, all: true }],
    ["state=new", { state: ["new"] }],
    ["state=new&state=old&size=7&size=8", { state: ["new", "old"], size: [7, 8] }],
    ["name=007", { name: "007" }],
    ["name=true", { name: "true" }],
  ])("the query %j is the body %j", async (query, body) => {
    const [got, sent] = [
      await ask(`/things/query?${query}`),
      await send("POST", "/things/query", body),
    ];
    expect([got.status, sent.status]).toEqual([200, 200]);
    expect(got.body.data).toEqual(sent.body.data);
    expect(got.body.data.asked).toMatchObject(body);
  });

  test.each([
    ["limit=many", "limit: Invalid input: expected number, received string"],
    ["limit=0", "limit: Too small"],
    ["limit=1&limit=2", "limit: Invalid input: expected number, received array"],
    ["all=yes", "all: Invalid input: expected boolean, received string"],
    ["state=new&state=odd", "state.1: Invalid option"],
    ["size=x", "size.0: Invalid input: expected number, received string"],
    ["name=a&name=b", "name: Invalid input: expected string, received array"],
    ["colour=red", 'unknown key "colour" (allowed: state, size, limit, all, name)'],
  ])("the query %j is refused", async (query, error) => {
    const { status, body } = await ask(`/things/query?${query}`);
    expect([status, body.code]).toEqual([400, "invalid_input"]);
    expect(body.error).toContain(error);
  });

  test("a body has no texts for numbers, and a POST no query", async () => {
    expect((await send("POST", "/things/query", { limit: "5" })).status).toBe(400);
    expect((await send("POST", "/things/query?limit=5", {})).body.error).toContain("limit");
  });

  test("other methods are refused, and both are named", async () => {
    for (const method of ["PUT", "DELETE", "PATCH"]) {
      const { status, headers, body } = await ask("/things/query", { method });
      expect([status, headers.get("Allow")]).toEqual([405, "GET, HEAD, POST"]);
      expect(body.error).toBe(`${method} is not allowed here; use GET or POST`);
    }
    expect(await ask("/things/query", { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  });
});

describe("PUT", () => {
  test("has a body, and its own status and headers", async () => {
    const { status, headers, body } = await send("PUT", "/thing/submit", { name: "a b" });
    expect([status, headers.get("Location")]).toEqual([202, "/things/a%20b"]);
    expect(body).toMatchObject({ message: "Thing a b is being made", data: { id: "a b" } });
  });

  test("an error has neither", async () => {
    const { status, headers } = await send("PUT", "/thing/submit", {});
    expect([status, headers.get("Location")]).toEqual([400, null]);
    expect((await ask("/thing/submit", { method: "PUT" })).status).toBe(415);
    const { headers: refused } = await send("POST", "/thing/submit", { name: "a" });
    expect(refused.get("Allow")).toBe("PUT");
  });
});
