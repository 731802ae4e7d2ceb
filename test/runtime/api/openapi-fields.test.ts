/** The API description of functions with two methods, an alias, other statuses and streams. */
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { expect, test } from "vitest";
import { describeApi } from "../../../runtime/api/openapi.ts";
import { type Json, operations } from "../../fixtures/openapi.ts";
import { functions } from "../../fixtures/served.ts";

const api: Json = JSON.parse(JSON.stringify(describeApi(functions, "1.2.3")));

test("Redocly finds nothing", async () => {
  const config = await createConfig({ extends: ["recommended"] });
  const source = JSON.stringify(api);
  const problems = await lintFromString({ source, absoluteRef: "openapi.json", config });
  expect(problems.map(({ ruleId, message }) => `${ruleId}: ${message}`)).toEqual([]);
});

test("each method and each path is an operation with an ID of its own", () => {
  const ids = operations(api).map(({ method, path, is }) => `${method} ${path} ${is.operationId}`);
  expect(ids).toEqual(
    expect.arrayContaining([
      "GET /thing thing",
      "POST /thing thingPost",
      "GET /things/{id} thingsById",
      "POST /things/{id} thingsByIdPost",
      "PUT /thing/submit thingSubmit",
      "GET /things/query thingsQuery",
      "POST /things/query thingsQueryPost",
    ]),
  );
});

test("an alias has its ID in the path, and the rest where it was", () => {
  const { get, post } = api.paths["/things/{id}"];
  const [id, long] = get.parameters;
  expect(id).toMatchObject({ name: "id", in: "path", required: true });
  expect(long).toMatchObject({ name: "long", in: "query", required: false });
  expect(post.parameters[0]).toEqual(id);
  const { schema, examples } = post.requestBody.content["application/json"];
  expect(Object.keys(schema.properties)).toEqual(["long"]);
  expect(schema.required).toBeUndefined();
  expect(examples.example2).toEqual({ value: { long: true } });
  expect(api.paths["/thing"].get.parameters[0]).toMatchObject({ name: "id", in: "query" });
});

test("202 is the status of what begins something", () => {
  expect(Object.keys(api.paths["/thing/submit"].put.responses)).toContain("202");
});
