import assert from "node:assert/strict";
import { test } from "node:test";

import { briefJson, numbersSurvive, parseJson, prettyJson, sameJson } from "../../agentlab/widgets/parts/exact_json.js";

test("numbers that JavaScript would alter are seen", () => {
  for (const text of ["9007199254740993", "[1, 12345678901234567890]", '{"a": -9007199254740993}', "1e400", "1e-400", "1e300"]) assert.equal(numbersSurvive(text), false, text);
});

test("numbers that it holds are let be, and digits within texts", () => {
  for (const text of ["9007199254740991", "-0.1", "0.0", "0e-400", "1e15", '"9007199254740993"', '{"a \\" 9007199254740993": "\\\\"}', "[]"]) assert.equal(numbersSurvive(text), true, text);
});

test("a text that is no JSON says what is wrong", () => {
  assert.deepEqual(parseJson("[1]"), { value: [1], problem: null });
  assert.match(parseJson("{").problem, /^not valid JSON: /);
});

test("values are compared as JSON has them", () => {
  assert.equal(sameJson({ a: [1, { b: null }], c: "x" }, { c: "x", a: [1, { b: null }] }), true);
  for (const [a, b] of [[1, "1"], [1, true], [[], {}], [null, {}], [[1], [1, 2]], [{ a: undefined }, { b: 1 }], [{ a: 1 }, { a: 1, b: 1 }]]) assert.equal(sameJson(a, b), false);
});

test("short values stay on a line, long ones are laid out or cut", () => {
  assert.equal(prettyJson({ a: 1 }), '{"a":1}');
  assert.match(prettyJson({ text: "x".repeat(80) }), /\n {2}"text"/);
  assert.equal(briefJson("x".repeat(100), 10), `"${"x".repeat(8)}…`);
});
