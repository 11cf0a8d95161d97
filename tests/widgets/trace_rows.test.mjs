// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { matchPieces, nextFound, pagesToAsk, stepEnd, stepHead, toolsOfStep, visibleRows } from "../../agentlab/widgets/parts/trace_rows.js";

//             0123456789
const KINDS = "tuSrcdSrca";
const TOOLS = new Map([[4, 0], [8, 1]]);

/** @param {{ kind?: string, tool?: number, folded?: number[], waits?: number[] }} [filter] */
function shown({ kind, tool, folded = [], waits = [] } = {}) {
  return [...visibleRows(KINDS, TOOLS, {
    kind: kind ?? null, tool: tool ?? null, isFolded: (row) => folded.includes(row), waits: (row) => waits.includes(row),
  })];
}

test("all rows are shown without filter and folds", () => {
  assert.deepEqual(shown(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a folded step keeps its head and what people and the agent said", () => {
  assert.deepEqual(shown({ folded: [2, 6] }), [0, 1, 2, 6, 9]);
  const all = { kind: null, tool: null, isFolded: () => true, waits: () => false };
  assert.deepEqual([...visibleRows("SruaSe", new Map(), all)], [0, 2, 3, 4]);
});

test("a filter by kind or tool keeps the heads of the steps that have such rows", () => {
  assert.deepEqual(shown({ kind: "d" }), [2, 5]);
  assert.deepEqual(shown({ kind: "u" }), [1]);
  assert.deepEqual(shown({ tool: 1 }), [6, 8]);
  assert.deepEqual(shown({ kind: "r", tool: 1 }), []);
  assert.deepEqual(shown({ kind: "S" }), [2, 6]);
  assert.deepEqual(shown({ kind: "c", folded: [6] }), [2, 4, 6], "folded: the head alone");
});

test("what waits for a person is never hidden", () => {
  assert.deepEqual(shown({ folded: [2, 6], waits: [8] }), [0, 1, 2, 6, 8, 9]);
  assert.deepEqual(shown({ kind: "u", waits: [8] }), [1, 6, 8]);
});

test("steps have a head, an end and tools", () => {
  assert.deepEqual([0, 2, 5, 6, 9].map((row) => stepHead(KINDS, row)), [-1, 2, 2, 6, 6]);
  assert.equal(stepHead(KINDS, -1), -1);
  assert.deepEqual([2, 6].map((row) => stepEnd(KINDS, row)), [6, 10]);
  assert.deepEqual(toolsOfStep("Sccc", new Map([[1, 5], [2, 0], [3, 5]]), 0), [[5, 2], [0, 1]]);
});

test("pages are asked for once: what is seen first, then the neighbours", () => {
  const seen = { first: 250, last: 320, rows: 1000, pageSize: 100 };

  assert.deepEqual(pagesToAsk(seen, () => false), [2, 3, 4, 1]);
  assert.deepEqual(pagesToAsk(seen, (page) => page === 3 || page === 4), [2, 1]);
  assert.deepEqual(pagesToAsk({ first: 0, last: 50, rows: 60, pageSize: 100 }, () => false), [0]);
  assert.deepEqual(pagesToAsk({ first: 950, last: 999, rows: 1000, pageSize: 100 }, () => false), [9, 8]);
  assert.deepEqual(pagesToAsk({ first: 0, last: -1, rows: 0, pageSize: 100 }, () => false), []);
});

test("matches are gone through in both directions, around the ends", () => {
  const found = [3, 8, 20];

  assert.equal(nextFound(found, 3, 1), 1);
  assert.equal(nextFound(found, 20, 1), 0);
  assert.equal(nextFound(found, -1, 1), 0);
  assert.equal(nextFound(found, 8, -1), 0);
  assert.equal(nextFound(found, 3, -1), 2);
  assert.equal(nextFound([], 3, 1), -1);
});

test("a text is cut at its matches, and put together it is the same", () => {
  assert.deepEqual(matchPieces("Ab ab", "AB"), ["", "Ab", " ", "ab", ""]);
  assert.deepEqual(matchPieces("a.b axb", "a.b"), ["", "a.b", " axb"], "a point is a point");
  assert.deepEqual(matchPieces("Straße İ 😀 x", "😀"), ["Straße İ ", "😀", " x"]);
  assert.deepEqual(matchPieces("text", ""), ["text"]);
  for (const query of ["(", "[a", "\\", "*", "a-b", "{1}", "$", "^", "|", "/"]) {
    assert.deepEqual(matchPieces(`x${query}y`, query), ["x", query, "y"]);
  }
  const many = matchPieces("a".repeat(1000), "a", 10);
  assert.equal(many.join(""), "a".repeat(1000));
  assert.equal(many.filter((_, i) => i % 2).length, 10);
});
