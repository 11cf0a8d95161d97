import assert from "node:assert/strict";
import { test } from "node:test";

import { compareRowName } from "../../agentlab/widgets/parts/compare_row.js";
import { compareBlocks, nextDifference, rowBeside, whichDifference } from "../../agentlab/widgets/parts/compare_rows.js";

const same = (n) => "=".repeat(n);
const short = (blocks) => blocks.map(({ from, to, gap }) => `${gap ? "gap " : ""}${from}-${to}`);

test("all rows are in blocks, none longer than a page and none over its edge", () => {
  assert.deepEqual(short(compareBlocks(same(120), false, new Set(), 50)), ["0-50", "50-100", "100-120"]);
  assert.deepEqual(compareBlocks("", true, new Set(), 50), []);
});

test("rows far from a difference are folded to a gap, those beside it are not", () => {
  const marks = `${same(10)}~${same(10)}<>`;
  assert.deepEqual(short(compareBlocks(marks, true, new Set(), 50)), ["gap 0-8", "8-13", "gap 13-19", "19-23"]);
});

test("a gap that was opened is drawn, the others stay folded", () => {
  const marks = `${same(60)}~${same(60)}`;
  assert.deepEqual(short(compareBlocks(marks, true, new Set([0]), 50)), ["0-50", "50-58", "58-63", "gap 63-121"]);
});

test("a gap of a few rows is no gap", () => {
  assert.deepEqual(short(compareBlocks("~=======~", true, new Set(), 50)), ["0-9"]);
  assert.deepEqual(short(compareBlocks("~========~", true, new Set(), 50)), ["0-3", "gap 3-7", "7-10"]);
});

test("of two runs that are the same the beginning is shown", () => {
  assert.deepEqual(short(compareBlocks(same(30), true, new Set(), 50)), ["0-4", "gap 4-30"]);
});

test("whatever the marks, blocks hold each row once and in order", () => {
  for (let seed = 1; seed < 300; seed++) {
    let state = seed;
    const marks = Array.from({ length: seed % 140 }, () => ((state = (state * 48271) % 2147483647) % 7 ? "=" : "~")).join("");
    for (const folded of [true, false]) {
      let place = 0;
      for (const { from, to } of compareBlocks(marks, folded, new Set(), 50)) {
        assert.equal(from, place);
        assert.ok(to > from);
        place = to;
      }
      assert.equal(place, marks.length);
    }
  }
});

test("next and before go to where differences begin, and stay where there is none", () => {
  const marks = "=~~==<=";
  assert.equal(nextDifference(marks, -1, 1), 1);
  assert.equal(nextDifference(marks, 1, 1), 5);
  assert.equal(nextDifference(marks, 5, 1), null);
  assert.equal(nextDifference(marks, 5, -1), 1);
  assert.equal(nextDifference(marks, 1, -1), null);
});

test("a reader is told which of the differences she is at", () => {
  assert.deepEqual(whichDifference("=~~==<=", 0), { count: 2, at: 0 });
  assert.deepEqual(whichDifference("=~~==<=", 2), { count: 2, at: 1 });
  assert.deepEqual(whichDifference("=~~==<=", 6), { count: 2, at: 2 });
  assert.deepEqual(whichDifference("", -1), { count: 0, at: 0 });
});

test("the row beside leaps over gaps", () => {
  const blocks = compareBlocks(`${same(10)}~${same(10)}<>`, true, new Set(), 50);
  assert.equal(rowBeside(blocks, -1, 1), 8);
  assert.equal(rowBeside(blocks, 12, 1), 19);
  assert.equal(rowBeside(blocks, 19, -1), 12);
  assert.equal(rowBeside(blocks, 22, 1), 22);
});

test("a row says what it is and whether it differs", () => {
  const side = { step: 2, title: "search", flags: [], facts: [] };
  assert.equal(compareRowName({ m: "~", k: "c", label: "tool call", l: side, r: side }), "tool call search, differs");
  assert.equal(compareRowName({ m: ">", k: "S", label: "step", r: { ...side, title: "step 2" } }), "step 2, only in B");
});
