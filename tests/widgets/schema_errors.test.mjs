import assert from "node:assert/strict";
import { test } from "node:test";

import { newErrors, schemaErrors, toldErrors, UNREADABLE } from "../../agentlab/widgets/parts/schema_errors.js";

const texts = (schema, value) => schemaErrors(schema, value).map(({ path, text }) => [...path, text].join(" "));

const CASES = [
  [{ type: "string" }, "a", 3, "must be text"],
  [{ type: "integer" }, 3, 3.5, "must be a whole number"],
  [{ type: "number" }, 3.5, "3", "must be a number"],
  [{ type: "boolean" }, false, 0, "must be yes or no"],
  [{ type: ["string", "null"] }, null, 1, "must be text or null"],
  [{ type: "array" }, [], {}, "must be a list"],
  [{ type: "object" }, {}, [], "must be an object"],
  [{ enum: ["a", 1] }, 1, "1", 'must be one of "a", 1'],
  [{ const: { a: [1] } }, { a: [1] }, { a: [2] }, 'must be {"a":[1]}'],
  [{ minimum: 1 }, 1, 0, "must be at least 1"],
  [{ maximum: 1 }, 1, 2, "must be at most 1"],
  [{ exclusiveMinimum: 1 }, 2, 1, "must be above 1"],
  [{ exclusiveMaximum: 1 }, 0, 1, "must be below 1"],
  [{ multipleOf: 0.1 }, 0.3, 0.35, "must be a multiple of 0.1"],
  [{ multipleOf: 5 }, 1e15, 12, "must be a multiple of 5"],
  [{ minLength: 2 }, "🐈🐈", "🐈", "must have at least 2 characters, has 1"],
  [{ maxLength: 1 }, "🐈", "ab", "must have at most 1 character, has 2"],
  [{ type: "array", minItems: 1 }, [1], [], "must have at least 1 item"],
  [{ type: "array", maxItems: 1 }, [1], [1, 2], "must have at most 1 item"],
  [{ type: "array", uniqueItems: true }, [1, { a: 1 }], [{ a: 1 }, { a: 1 }], "1 is the same as item 1"],
  [{ type: "array", items: { type: "integer" } }, [1], [1, "x"], "1 must be a whole number"],
  [{ prefixItems: [{ type: "string" }], items: false }, ["a"], ["a", 1], "1 must not be there"],
  [{ required: ["a"] }, { a: 1 }, {}, "a is required"],
  [{ properties: { a: { type: "string" } } }, { b: 1 }, { a: 1 }, "a must be text"],
  [{ properties: {}, additionalProperties: false }, {}, { b: 1 }, "b is not an argument of this tool"],
  [{ additionalProperties: { type: "integer" } }, { b: 1 }, { b: "x" }, "b must be a whole number"],
  [{ propertyNames: { maxLength: 1 } }, { a: 1 }, { ab: 1 }, "ab is not a name allowed here"],
  [{ minProperties: 1 }, { a: 1 }, {}, "must have at least 1 entry"],
  [{ maxProperties: 2 }, { a: 1 }, { a: 1, b: 1, c: 1 }, "must have at most 2 entries"],
  [{ allOf: [{ minimum: 1 }, { maximum: 3 }] }, 2, 4, "must be at most 3"],
  [{ anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }] }, null, 0, "must be at least 1"],
  [{ anyOf: [{ type: "string", minLength: 2 }, { type: "integer" }] }, "ab", "a", "must have at least 2 characters, has 1"],
  [{ anyOf: [{ type: "string" }, { type: "integer" }] }, 1, [], "fits none of the forms allowed here"],
  [{ oneOf: [{ minimum: 1 }, { maximum: 5 }] }, 9, 3, "fits 2 of the forms allowed here; must fit one"],
  [{ not: { type: "string" } }, 1, "a", "is not allowed here"],
  [false, undefined, 1, "is not allowed here"],
];

for (const [schema, good, bad, text] of CASES) {
  test(`${JSON.stringify(schema)} tells ${JSON.stringify(bad)} from ${JSON.stringify(good)}`, () => {
    if (good !== undefined) assert.deepEqual(texts(schema, good), []);
    assert.deepEqual(texts(schema, bad), [text]);
  });
}

test("errors of nested values stand at their place, through references", () => {
  const schema = { $defs: { P: { type: "object", properties: { age: { type: "integer", minimum: 0 } } } }, properties: { people: { items: { $ref: "#/$defs/P" } } } };
  assert.deepEqual(schemaErrors(schema, { people: [{ age: 1 }, { age: -1 }] }), [{ path: ["people", 1, "age"], text: "must be at least 0" }]);
});

test("names of the language itself are names like others", () => {
  const value = JSON.parse('{"__proto__": 1, "constructor": "x"}');
  assert.deepEqual(texts({ properties: { constructor: { type: "string" } }, additionalProperties: { type: "string" } }, value), ["__proto__ must be text"]);
  assert.deepEqual(texts({ properties: {}, required: ["toString"] }, {}), ["toString is required"]);
});

test("a field that cannot be read says so itself", () => {
  assert.deepEqual(texts({ properties: { a: { type: "integer" } } }, { a: UNREADABLE }), []);
  assert.deepEqual(texts({ anyOf: [{ type: "array", items: { type: "integer" } }, { type: "null" }] }, [UNREADABLE]), []);
});

test("what was wrong before is no error of who changes something else", () => {
  const schema = { properties: { key: { type: "string", minLength: 20 }, n: { type: "integer" } } };
  const before = { key: "[redacted]", n: 1 };
  assert.deepEqual(newErrors(schema, { key: "[redacted]", n: 2 }, before), []);
  assert.deepEqual(newErrors(schema, { key: "nonsense", n: 2 }, before).map(({ path }) => path), [["key"]]);
});

test("an old error is known at another place of its list, too", () => {
  const schema = { properties: { keys: { items: { minLength: 12 } } } };
  assert.deepEqual(newErrors(schema, { keys: ["sk-1234567890", "[redacted]"] }, { keys: ["[redacted]"] }), []);
});

test("a pattern is left to Python, however long it would take here, and nothing is refused for want of it", () => {
  const slow = { type: "string", pattern: "^([a-z]+/?)+$" };
  const began_ms = performance.now();
  assert.deepEqual(texts({ properties: { path: slow } }, { path: `${"a".repeat(40)}!` }), []);
  assert.deepEqual(texts({ patternProperties: { "^(a+)+$": { type: "integer" } }, additionalProperties: false }, { [`${"a".repeat(40)}!`]: 1 }), []);
  assert.ok(performance.now() - began_ms < 200);

  assert.deepEqual(texts({ not: { pattern: "^x" } }, "a"), []);
  assert.deepEqual(texts({ oneOf: [{ type: "string", pattern: "^x" }, { type: "string", maxLength: 3 }] }, "a"), []);
  assert.deepEqual(texts({ oneOf: [{ $ref: "#/$defs/X" }, { type: "string" }], $defs: { X: { pattern: "^x" } } }, "a"), []);
});

test("what Python tells of single arguments is known by their places", () => {
  const told = "`send` was called with bad arguments: `to.zip_code`: String should match pattern '^\\\\d{5}$' (got 'a; b'); `notes.0`: Field required";
  assert.deepEqual(toldErrors(told), [
    { path: ["to", "zip_code"], text: "String should match pattern '^\\\\d{5}$' (got 'a; b')" }, { path: ["notes", 0], text: "Field required" },
  ]);
  assert.deepEqual(toldErrors("this call was decided before"), []);
});
