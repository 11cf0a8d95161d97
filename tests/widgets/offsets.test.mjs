// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Offsets, followsTail, indexOfRow, lastUpTo, windowOf } from "../../agentlab/widgets/parts/offsets.js";

/** Numbers that look random and are the same each time. @param {number} seed */
function numbers(seed) {
  return () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
}

test("tops are the sums of the heights before, also after changes", () => {
  const next = numbers(7);
  for (const length of [0, 1, 2, 3, 7, 8, 9, 100, 1000]) {
    const heights = Array.from({ length }, () => 1 + Math.floor(next() * 200));
    const offsets = new Offsets(heights);
    for (let change = 0; change < 50 && length; change++) {
      const index = Math.floor(next() * length);
      heights[index] = 1 + Math.floor(next() * 200);
      offsets.set(index, heights[index]);
    }
    let sum = 0;
    for (let i = 0; i < length; i++) {
      assert.equal(offsets.top(i), sum);
      assert.equal(offsets.at(sum), i, "its upper edge belongs to an item");
      assert.equal(offsets.at(sum + heights[i] - 0.5), i);
      sum += heights[i];
    }
    assert.equal(offsets.top(length), sum);
    assert.equal(offsets.total, sum);
    assert.equal(offsets.at(sum + 1000), length - 1);
    assert.equal(offsets.at(-5), length ? 0 : -1);
  }
});

test("the window holds what is seen and a margin, within the list", () => {
  const offsets = new Offsets(new Array(100).fill(10));

  assert.deepEqual(windowOf(offsets, 500, 100, 20), [48, 62]);
  assert.deepEqual(windowOf(offsets, 0, 100, 20), [0, 12]);
  assert.deepEqual(windowOf(offsets, 900, 100, 20), [88, 99]);
  assert.deepEqual(windowOf(new Offsets([]), 0, 100, 20), [0, -1]);
});

test("a row is found among the rows shown, or the one before it", () => {
  const items = Int32Array.from([0, 3, 4, 9]);

  assert.deepEqual([0, 3, 4, 9].map((row) => indexOfRow(items, row)), [0, 1, 2, 3]);
  assert.deepEqual([-1, 1, 5, 10].map((row) => indexOfRow(items, row)), [-1, -1, -1, -1]);
  assert.deepEqual([-1, 0, 2, 3, 8, 10].map((row) => lastUpTo(items, row)), [-1, 0, 0, 1, 2, 3]);
});

test("the end is followed until the reader scrolls up, and again when he is back", () => {
  const at = (/** @type {number} */ top, before = top) => ({ top, before, height: 100, total: 1000 });

  assert.equal(followsTail(true, at(900)), true);
  assert.equal(followsTail(true, at(850, 850)), true, "the list grew, nobody scrolled");
  assert.equal(followsTail(true, at(840, 850)), false, "scrolled up");
  assert.equal(followsTail(false, at(860, 850)), false, "scrolled down, but not to the end");
  assert.equal(followsTail(false, at(897, 850)), true);
});

test("100,000 heights are summed, changed and sought within a moment", () => {
  const begin = performance.now();
  const offsets = new Offsets(new Float64Array(100_000).fill(40));
  for (let i = 0; i < 100_000; i += 7) offsets.set(i, 55);
  for (let i = 0; i < 100_000; i += 7) offsets.at(offsets.top(i));

  assert.ok(performance.now() - begin < 500);
});
