// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { blockTakes } from "../../agentlab/widgets/parts/growing_text.js";
import { binOfRow, binWidths, timeShares } from "../../agentlab/widgets/parts/strip.js";
import { inQueue, pendingWords } from "../../agentlab/widgets/parts/trace_asks.js";
import { TraceFind, cutField } from "../../agentlab/widgets/parts/trace_find.js";
import { TraceFolds } from "../../agentlab/widgets/parts/trace_folds.js";
import { TRACE_SHORTCUTS, isCommand } from "../../agentlab/widgets/parts/trace_keys.js";

test("a growing text is cut at line ends, and without them at a length, never within a character", () => {
  assert.equal(blockTakes(100, "short"), 5);
  assert.equal(blockTakes(4000, "end\nnext"), 4);
  assert.equal(blockTakes(3998, "a\nb\nc"), 2, "at the first line end after enough text");
  assert.equal(blockTakes(4000, "no line end"), 11);
  assert.equal(blockTakes(15_999, "abc"), 1);
  assert.equal(blockTakes(15_999, "😀b"), 2);
  let rest = "x".repeat(50_000);
  const lengths = [];
  while (rest) {
    const taken = blockTakes(0, rest);
    lengths.push(taken);
    rest = rest.slice(taken);
  }
  assert.deepEqual(lengths, [16_000, 16_000, 16_000, 2000]);
});

test("a bin is parted by who took the time; what is not known takes none", () => {
  assert.deepEqual(timeShares([0, 1, "", 1, 2, 1, false]), [0.25, 0.5, 0.25]);
  assert.deepEqual(timeShares([0, 1, "", 2, /** @type {any} */ (null), NaN, false]), [1, 0, 0]);
  assert.deepEqual(timeShares([0, 1, "", 0, 0, 0, false]), [0, 0, 0]);
});

test("the strip is full, however short the run was", () => {
  assert.deepEqual(binWidths([[0, 1, "", 0.001, 0, 0.002, 0], [9, 2, "", 0, 0.001, NaN, 0]]), [750, 250]);
  assert.deepEqual(binWidths([[0, 1, "", 0, 0, 0, 0], [9, 2, "", 0, 0, 0, 0]]), [500, 500]);
  assert.deepEqual(binWidths([]), []);
});

test("the bin of a row is the last that begins before it", () => {
  /** @type {import("../../agentlab/widgets/parts/trace_state.js").Bin[]} */
  const bins = [[2, 1, "", 1, 0, 0, 0], [6, 2, "", 1, 0, 0, 0]];

  assert.deepEqual([0, 2, 5, 6, 99].map((row) => binOfRow(bins, row)), [-1, 0, 0, 1, 1]);
});

test("calls are answered in the order of their queue", () => {
  const waiting = [{ row: 3, ask: { queue: [2, 3] } }, { row: 9, ask: { queue: [1, 3] } }, { row: 1, ask: {} }, { row: 5, ask: { queue: [2, 3] } }];

  assert.deepEqual(inQueue(waiting).map(({ row }) => row), [9, 3, 5, 1]);
  assert.equal(pendingWords(1), "1 call waits for you");
  assert.equal(pendingWords(3), "3 calls wait for you");
});

test("steps fold alone and all together; rows keep what the reader chose", () => {
  const folds = new TraceFolds();
  const reasoning = { k: "r", id: "m" };

  folds.flip(5);
  assert.deepEqual([folds.isFolded(5), folds.isFolded(9)], [true, false]);
  folds.flipAll();
  assert.deepEqual([folds.isFolded(5), folds.isFolded(9)], [true, true]);
  folds.flip(5);
  assert.equal(folds.isFolded(5), false);

  assert.equal(folds.isOpen(3, reasoning), false);
  assert.equal(folds.isOpen(3, { ...reasoning, live: true }), true, "one sees it arrive");
  assert.equal(folds.isOpen(3, { k: "c" }), true);
  folds.openForced(3, undefined);
  assert.equal(folds.isOpen(3, reasoning), true, "opened before it was at hand");
  folds.open(3, reasoning, false);
  assert.equal(folds.isOpen(4, reasoning), false, "by id, wherever the row went");
});

test("matches that the filter hides are not counted, and the place is kept", () => {
  const find = new TraceFind();
  find.begin("x");

  find.take({ rows: [2, 5, 7], more: false }, () => true);
  assert.equal(find.step(2, 1), 5);
  find.take({ rows: [2, 5, 7], more: false }, (row) => row !== 2);
  assert.deepEqual([find.matches, find.place], [[5, 7], 0]);
  assert.equal(find.step(0, -1), 7);
  find.begin("y");
  assert.equal(find.step(0, 1), -1);
});

test("a key is a command only without modifiers, and Enter not on a button", () => {
  const event = { key: "j", ctrlKey: false, metaKey: false, altKey: false, defaultPrevented: false };
  const row = /** @type {any} */ ({ closest: () => null });
  const onButton = /** @type {any} */ ({ closest: () => onButton });

  assert.equal(isCommand(event, row), true);
  assert.equal(isCommand({ ...event, ctrlKey: true }, row), false);
  assert.equal(isCommand({ ...event, key: "c", metaKey: true }, row), false);
  assert.equal(isCommand({ ...event, defaultPrevented: true }, row), false);
  assert.equal(isCommand({ ...event, key: "Enter" }, onButton), false);
  assert.equal(isCommand({ ...event, key: "Enter" }, row), true);
  assert.equal(isCommand(event, onButton), true);
  assert.match(TRACE_SHORTCUTS, /^j k g Shift\+G Enter f \/ /);
});

test("a text that was cut is fetched whole to look for a match, unless it is too long to mark matches in", () => {
  assert.equal(cutField({ k: "c", args: "a", ret: "b", ret_more: 100 }), "ret");
  assert.equal(cutField({ k: "a", text: "a", text_more: 40_000 }), undefined);
  assert.equal(cutField({ k: "a", text: "a" }), undefined);
});
