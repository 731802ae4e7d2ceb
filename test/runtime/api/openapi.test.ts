/** The API description: what a linter and a validator say of it, and that nothing of the reference is missing. */
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { describeApi } from "../../../runtime/api/openapi.ts";
import { STATUS } from "../../../runtime/core/errors.ts";
import { methodsOf } from "../../../runtime/core/method.ts";
import { defineFunction, type HyperFunction } from "../../../runtime/function/define.ts";
import { allFunctions } from "../../fixtures/functions.ts";
import { examples, type Json, operations, validator } from "../../fixtures/openapi.ts";
import reference from "../../fixtures/reference.json" with { type: "json" };

const functions = await allFunctions();
/** As a caller gets it. */
const copy = (): Json => JSON.parse(JSON.stringify(describeApi(functions, "1.2.3")));
const api = copy();

describe("Redocly's recommended rules", async () => {
  const config = await createConfig({ extends: ["recommended"] });
  const lint = async (description: Json) => {
    const source = JSON.stringify(description);
    const problems = await lintFromString({ source, absoluteRef: "openapi.json", config });
    return problems.map(({ ruleId, message }) => `${ruleId}: ${message}`);
  };

  test("find nothing, not even to warn of", async () => {
    expect(await lint(api)).toEqual([]);
  });

  const create = (made: Json) => made.paths["/libvirt/network/create"].post;
  const MISTAKES: Record<string, (made: Json) => void> = {
    struct: (made) => {
      create(made).requestBody.contents = {};
    },
    "no-unresolved-refs": (made) => {
      delete made.components.schemas.Network;
    },
    "operation-operationId-unique": (made) => {
      create(made).operationId = "health";
    },
    "operation-summary": (made) => {
      delete create(made).summary;
    },
    "no-invalid-media-type-examples": (made) => {
      create(made).requestBody.content["application/json"].examples.example1.value.name = 7;
    },
    "no-invalid-parameter-examples": (made) => {
      made.paths["/libvirt/stats"].get.parameters[0].examples.example1.value = "";
    },
    "security-defined": (made) => {
      delete made.security;
    },
  };
  test.each(Object.entries(MISTAKES))("find a planted mistake: %s", async (rule, plant) => {
    const wrong = copy();
    plant(wrong);
    expect(await lint(wrong)).toContainEqual(expect.stringMatching(`^${rule}: `));
  });
});

describe("what is described", () => {
  test("every function, by its method and its path", () => {
    const described = operations(api).map(({ method, path }) => `${method} ${path}`);
    const loaded = functions.flatMap(({ path, function: one }) =>
      [path, ...(one?.spec.alias ? [one.spec.alias.replace(":id", "{id}")] : [])].flatMap((url) =>
        one ? methodsOf(one.spec).map((method) => `${method} ${url}`) : [],
      ),
    );
    expect(described).toEqual(loaded);
    expect(api.info.version).toBe("1.2.3");
  });

  test("the reference's 34 endpoints, with its examples", () => {
    expect(Object.keys(reference)).toHaveLength(34);
    const given = examples(api);
    for (const [endpoint, example] of Object.entries(reference)) {
      const found = given.filter(({ method, path }) => `${method} ${path}` === endpoint);
      if (endpoint.startsWith("POST")) expect(found[0]?.input, endpoint).toEqual(example);
      else expect(Object.keys(found[0]?.input ?? { none: 1 })).toEqual(Object.keys(example));
    }
  });

  test("every function has an example, and every field of an input says what it is", () => {
    const shown = new Set(examples(api).map(({ path }) => path));
    for (const { method, path, is } of operations(api)) {
      expect(shown).toContain(path);
      const fields =
        method === "GET" || !is.requestBody.content["application/json"]
          ? is.parameters.filter((one: Json) => one.name)
          : Object.values(is.requestBody.content["application/json"].schema.properties);
      for (const field of fields) {
        expect(field.description, `${path} ${JSON.stringify(field)}`).toMatch(/./);
      }
    }
  });

  test("the hypervisor can be chosen by query and by header", () => {
    const names = Object.values<Json>(api.components.parameters).map((one) => [one.in, one.name]);
    expect(names).toEqual([
      ["query", "host"],
      ["header", "X-Hypervisor"],
      ["header", "Prefer"],
      ["header", "Idempotency-Key"],
    ]);
    for (const { is } of operations(api)) {
      const refs = is.parameters.flatMap((one: Json) => one.$ref ?? []);
      expect(refs.slice(0, 2)).toEqual([
        "#/components/parameters/Host",
        "#/components/parameters/Hypervisor",
      ]);
    }
  });

  test("each operation's statuses", () => {
    const statuses = (path: string, method: string) =>
      Object.keys(api.paths[path][method].responses).map(Number);
    const always = [400, 401, 403, 429, 431, 500, 503, 504];
    expect(statuses("/libvirt/networks", "get")).toEqual([200, ...always]);
    expect(statuses("/libvirt/network", "get")).toEqual([
      200,
      400,
      401,
      403,
      404,
      ...always.slice(3),
    ]);
    const post = [202, 400, 401, 403, 404, 409, 413, 415, 422, ...always.slice(3)];
    expect(statuses("/libvirt/network/create", "post")).toEqual([201, ...post]);
    expect(statuses("/libvirt/network/delete", "post")).toEqual([200, ...post]);
  });

  test("each error code, with its status; but for two that no described operation answers", () => {
    const responses = Object.values<Json>(api.components.responses);
    const described = responses.flatMap(
      ({ content }) => content["application/json"].schema.properties.code.enum,
    );
    expect([...described, "method_not_allowed", "function_unavailable"].sort()).toEqual(
      Object.keys(STATUS).sort(),
    );
    const { code } =
      api.components.responses.ServiceUnavailable.content["application/json"].schema.properties;
    expect(code.enum).toEqual(["busy", "unreachable", "audit_failed"]);
  });

  test("answers as they are: in the envelope, or without", () => {
    const answer = (path: string, method: string, status = 200) =>
      api.paths[path][method].responses[status].content;
    const made = answer("/libvirt/network/create", "post", 201)["application/json"].schema;
    expect(made.required).toEqual(["status", "message", "data", "timestamp"]);
    expect(made.properties.data).toEqual({ $ref: "#/components/schemas/Network" });
    const batch = answer("/libvirt/batch/start", "post")["application/json"].schema;
    expect(batch).toEqual({ $ref: "#/components/schemas/BatchResult" });
    expect(answer("/docs", "get")).toEqual({ "text/html": { schema: { type: "string" } } });
  });
});

describe("schemas", () => {
  const check = validator(api);

  test("all can be used, and every example fits its own", () => {
    for (const { method, path, is } of operations(api)) {
      const own = ["paths", path, method.toLowerCase()];
      for (const [status, { $ref }] of Object.entries<Json>(is.responses)) {
        if (!$ref)
          for (const media of Object.keys(is.responses[status].content ?? {}))
            check.at(...own, "responses", status, "content", media, "schema");
      }
      const content = is.requestBody?.content["application/json"];
      for (const { value } of Object.values<Json>(content?.examples ?? {})) {
        const of = [...own, "requestBody", "content", "application/json", "schema"];
        expect(check.at(...of)(value), path).toEqual([]);
      }
    }
    for (const [name, { content }] of Object.entries<Json>(api.components.responses)) {
      const { example } = content["application/json"];
      const of = ["components", "responses", name, "content", "application/json", "schema"];
      expect(check.at(...of)(example), name).toEqual([]);
    }
    const [batch] = api.components.schemas.BatchResult.examples;
    expect(check.at("components", "schemas", "BatchResult")(batch)).toEqual([]);
  });

  test("an answer that is not as declared is noticed", () => {
    const health = { method: "GET", path: "/health" };
    const body = { status: "success", message: "", data: { uptime_seconds: 1 }, timestamp: "" };
    const well = { status: 200, type: "application/json", body };
    const timestamp = "2026-01-19T12:30:00Z";
    const wrong = (more: object) => check.answer(health, { ...well, ...more }).join();
    expect(wrong({ body: { ...body, timestamp } })).toBe("");
    expect(wrong({})).toMatch(/timestamp must match format/);
    expect(wrong({ status: 201 })).toBe("status 201 is not declared");
    expect(wrong({ type: "text/plain" })).toBe("content type text/plain is not declared");
    expect(wrong({ body: { ...body, timestamp, data: {} } })).toMatch(/uptime_seconds/);
    const failed = { error: "no", code: "virsh_failed", timestamp };
    expect(wrong({ status: 500, body: failed })).toBe("");
    expect(wrong({ status: 503, body: failed })).toMatch(/code must be equal to one of/);
    expect(wrong({ status: 500, body: { ...failed, code: "new" } })).not.toBe("");
  });

  test("what a function refuses, its schema refuses", () => {
    const body = ["requestBody", "content", "application/json", "schema"];
    const network = check.at("paths", "/libvirt/network/create", "post", ...body);
    expect(network({ name: "lan", subnet: "10.0.0.1/24" })).toEqual([]);
    for (const wrong of [
      {},
      { name: "" },
      { name: "a/b" },
      { name: "-a" },
      { name: "lan", colour: "red" },
      { name: "lan", forward: "magic" },
      { name: "lan", subnet: "10.0.0" },
    ]) {
      expect(network(wrong), JSON.stringify(wrong)).not.toEqual([]);
    }
  });
});

describe("functions of others", () => {
  const any = { method: "GET", access: "read", summary: "X", message: null } as const;
  const one = (path: string, output: z.ZodType) => ({
    path,
    function: defineFunction({
      ...any,
      input: z.strictObject({}),
      output,
      run: async () => ({}),
    }) as unknown as HyperFunction,
  });

  test("one that did not load is left out, and takes no other with it", () => {
    const { paths } = describeApi([{ path: "/x", error: new Error("no") }, ...functions], "1");
    expect(paths).toEqual(api.paths);
  });

  test("nor does a shape that JSON Schema cannot say", () => {
    const { paths } = describeApi([one("/a", z.date()), one("/b", z.string())], "1");
    expect(Object.keys(paths)).toEqual(["/a", "/b"]);
  });

  test("several examples of a query stay together by their names", () => {
    const input = z.strictObject({ a: z.string(), b: z.string().optional() });
    const given = [{ a: "1" }, { a: "2", b: "3" }];
    const run = async () => "";
    const many = defineFunction({ ...any, input, output: z.string(), examples: given, run });
    const made: Json = describeApi(
      [{ path: "/x", function: many as unknown as HyperFunction }],
      "1",
    );
    expect(examples(made).map((one) => one.input)).toEqual(given);
  });

  test("groups: the plural goes to the singular where there is one", () => {
    const paths = ["/x", "/libvirt/hats", "/libvirt/hat/wear", "/libvirt/shoes"];
    const made: Json = describeApi(
      paths.map((path) => one(path, z.string())),
      "1",
    );
    expect(operations(made).map(({ is }) => [is.operationId, ...is.tags])).toEqual([
      ["x", "server"],
      ["libvirtHats", "hat"],
      ["libvirtHatWear", "hat"],
      ["libvirtShoes", "shoes"],
    ]);
    expect(made.tags.map(({ name }: Json) => name)).toEqual(["hat", "server", "shoes"]);
  });
});
