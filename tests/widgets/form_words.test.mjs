// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { errorsBelow } from "../../agentlab/widgets/parts/form_groups.js";
import { wasWords } from "../../agentlab/widgets/parts/form_slot.js";
import { firstLine } from "../../agentlab/widgets/parts/trace_row_kinds.js";
import { setOnce } from "../../agentlab/widgets/parts/virtual_list.js";

test("errors go to the place that they name, and lose that name", () => {
  const errors = [{ path: ["to", "zip"], text: "x" }, { path: ["to"], text: "y" }, { path: [0], text: "z" }, { path: [], text: "w" }];
  assert.deepEqual(errorsBelow(errors, "to"), [{ path: ["zip"], text: "x" }, { path: [], text: "y" }]);
  assert.deepEqual(errorsBelow(errors, 0), [{ path: [], text: "z" }]);
  assert.deepEqual(errorsBelow(errors, "0"), [{ path: [], text: "z" }], "an entry may be named by digits");
});

test("a group says what it was only where it was none of its kind", () => {
  const nothing = Symbol("nothing");
  assert.deepEqual([wasWords(nothing, nothing, {}), wasWords([1], nothing, [2]), wasWords({}, nothing, [])], ["new", "", "was: {}"]);
  assert.equal(wasWords("x", nothing, {}), 'was: "x"');
});

test("the first line of a row is one line, and short", () => {
  assert.equal(firstLine(" a\n\t b "), "a b");
  assert.ok(firstLine("x".repeat(9000)).length < 500);
});

test("an attribute is written only when it changes", () => {
  let written = 0;
  const held = new Map();
  const element = /** @type {any} */ ({ getAttribute: (/** @type {string} */ name) => held.get(name) ?? null, setAttribute: (/** @type {string} */ name, /** @type {string} */ to) => (written++, held.set(name, to)) });
  setOnce(element, "aria-posinset", "3");
  setOnce(element, "aria-posinset", "3");
  assert.deepEqual([written, held.get("aria-posinset")], [1, "3"]);
});
