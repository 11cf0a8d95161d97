import assert from "node:assert/strict";
import { test } from "node:test";

import { itemSchema, limitsInWords, resolveSchema, shapeFor, shapeOf, startValue } from "../../agentlab/widgets/parts/schema.js";

const kind = (schema, root = schema) => shapeOf(schema, root).kind;
const root = {
  $defs: {
    Person: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
    Tree: { type: "object", properties: { children: { type: "array", items: { $ref: "#/$defs/Tree" } } }, required: ["children"] },
    "a/b c": { type: "integer" },
    Loop: { $ref: "#/$defs/Loop" },
  },
};

test("each type has its field", () => {
  const kinds = { string: "text", number: "number", integer: "integer", boolean: "yesno", array: "list", object: "object", null: "json" };
  for (const [type, wanted] of Object.entries(kinds)) assert.equal(kind({ type }), wanted, type);
});

test("enum and const are choices, also when they are options", () => {
  assert.deepEqual(shapeOf({ enum: ["a", 1, null] }, {}).choices, ["a", 1, null]);
  assert.deepEqual(shapeOf({ const: 3 }, {}).choices, [3]);
  const options = shapeOf({ anyOf: [{ const: "a" }, { enum: ["b", "c"] }, { type: "null" }] }, {});
  assert.deepEqual([options.kind, options.choices, options.nullable], ["choice", ["a", "b", "c"], true]);
  assert.deepEqual(shapeOf({ type: "string", enum: ["a", 1] }, {}).choices, ["a"]);
});

test("null beside one other type makes it nullable", () => {
  for (const schema of [{ anyOf: [{ type: "string" }, { type: "null" }] }, { oneOf: [{ type: "null" }, { type: "string" }] }, { type: ["string", "null"] }]) {
    const shape = shapeOf(schema, schema);
    assert.deepEqual([shape.kind, shape.nullable], ["text", true]);
  }
  const described = shapeOf({ anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }], default: null, description: "how many" }, {});
  assert.deepEqual([described.schema.minimum, described.schema.description, described.schema.default], [1, "how many", null]);
});

test("references are followed, also through others and with words beside them", () => {
  assert.equal(kind({ $ref: "#/$defs/Person" }, root), "object");
  assert.equal(kind({ $ref: "#/$defs/a~1b%20c" }, root), "integer");
  assert.equal(resolveSchema({ $ref: "#/$defs/Person", description: "who" }, root).description, "who");
  assert.equal(kind({ allOf: [{ $ref: "#/$defs/Person" }], default: {} }, root), "object");
});

test("a reference that leads nowhere, out of the schema or in a circle is JSON text", () => {
  for (const $ref of ["#/$defs/Nobody", "#/$defs/Loop", "https://example.org/x.json", "#/$defs/__proto__"]) assert.equal(kind({ $ref }, root), "json", $ref);
});

test("what a form cannot express is JSON text", () => {
  const beyond = [
    { oneOf: [{ type: "object", properties: {} }, { type: "object" }] },
    { anyOf: [{ type: "string" }, { type: "integer" }] },
    { allOf: [{ type: "object" }, { required: ["a"] }] },
    { type: "object", patternProperties: { "^x": {} } },
    { type: "object", if: {}, then: {} },
    { type: "object", propertyNames: { enum: ["a"] } },
    { type: "array", contains: { type: "string" } },
    { type: ["string", "integer"] },
    { anyOf: [{ type: "string" }, { type: "null" }], minLength: 3 },
    { not: { type: "string" } },
    {},
    true,
    false,
  ];
  for (const schema of beyond) assert.equal(kind(schema), "json", JSON.stringify(schema));
});

test("a value of another shape than the schema asks for is JSON text, never lost", () => {
  assert.equal(shapeFor({ type: "integer" }, {}, "[redacted]").kind, "json");
  assert.equal(shapeFor({ enum: ["a"] }, {}, "b").kind, "json");
  assert.equal(shapeFor({ type: "string" }, {}, null).kind, "json");
  assert.equal(shapeFor({ type: "integer" }, {}, 3.5).kind, "json");
  assert.equal(shapeFor({ anyOf: [{ type: "string" }, { type: "null" }] }, {}, null).kind, "text");
});

test("what is too long for a form is JSON text", () => {
  const list = (n) => shapeFor({ type: "array" }, {}, Array(n).fill(1)).kind;
  assert.deepEqual([list(100), list(101)], ["list", "json"]);
});

test("items have the schema of their place", () => {
  const pair = { prefixItems: [{ type: "string" }, { type: "integer" }], items: false };
  assert.deepEqual([itemSchema(pair, 0), itemSchema(pair, 1), itemSchema(pair, 2)], [{ type: "string" }, { type: "integer" }, null]);
  assert.deepEqual(itemSchema({ items: { type: "string" } }, 7), { type: "string" });
});

test("what is added begins with its default, or with what its limits allow", () => {
  assert.equal(startValue({ type: "integer", default: 7 }, {}), 7);
  assert.equal(startValue({ type: "integer", minimum: 2 }, {}), 2);
  assert.equal(startValue({ type: "integer", exclusiveMinimum: 2 }, {}), 3);
  assert.equal(startValue({ type: "number", maximum: -1 }, {}), -1);
  assert.equal(startValue({ enum: ["x", "y"] }, {}), "x");
  assert.equal(startValue({ anyOf: [{ type: "string" }, { type: "null" }], default: null }, {}), "");
  assert.deepEqual(startValue({ $ref: "#/$defs/Person" }, root), { name: "" });
  assert.deepEqual(startValue({ type: "array", minItems: 2, items: { type: "boolean" } }, {}), [false, false]);
  assert.deepEqual(startValue({ $ref: "#/$defs/Tree" }, root), { children: [] });
});

test("a schema that demands itself comes to an end", () => {
  const endless = { $defs: { A: { type: "object", properties: { a: { $ref: "#/$defs/A" } }, required: ["a"] } }, $ref: "#/$defs/A" };
  assert.equal(typeof startValue(endless, endless), "object");
  const nest = { $defs: { A: { type: "array", minItems: 1, items: { $ref: "#/$defs/A" } } }, $ref: "#/$defs/A" };
  assert.match(JSON.stringify(startValue(nest, nest)), /^\[+\]+$/);
});

test("limits are said in words", () => {
  const words = (schema) => limitsInWords(shapeOf(schema, {}));
  assert.equal(words({ type: "integer", minimum: 1, maximum: 10 }), "whole number, 1 to 10");
  assert.equal(words({ type: "number", exclusiveMinimum: 0, multipleOf: 0.5 }), "number, above 0, a multiple of 0.5");
  assert.equal(words({ type: "string", maxLength: 1 }), "at most 1 character");
  assert.equal(words({ type: "string", minLength: 2, maxLength: 4 }), "2 to 4 characters");
  assert.equal(words({ type: "array", minItems: 2, maxItems: 2, uniqueItems: true }), "exactly 2 items, no item twice");
  assert.equal(words({ type: "string", format: "date" }), "a date, such as 2026-01-31");
  assert.equal(words({ type: "string", format: "constructor" }), "", "a form that nobody explains");
  assert.equal(words({ type: "string" }), "");
});
