import assert from "node:assert/strict";
import { test } from "node:test";

import { rowByKey, shownOf, sortedNext } from "../../agentlab/widgets/parts/run_table.js";

const query = (sort, descending) => ({ status: null, agent: null, model: null, tag: null, text: null, sort, descending });

test("a head sorts first one way, then the other, then not at all", () => {
  const first = sortedNext(query(null, false), "agent");
  const second = sortedNext(query("agent", first.descending), "agent");
  const third = sortedNext(query("agent", second.descending), "agent");
  assert.deepEqual([first, second, third], [{ sort: "agent", descending: false }, { sort: "agent", descending: true }, { sort: null, descending: false }]);
});

test("the newest and the longest come first", () => {
  assert.deepEqual(sortedNext(query("agent", false), "started"), { sort: "started", descending: true });
  assert.deepEqual(sortedNext(query("steps", true), "steps"), { sort: "steps", descending: false });
});

test("keys move among the rows and stop at the ends", () => {
  assert.equal(rowByKey("ArrowDown", -1, 3), 0);
  assert.equal(rowByKey("j", 2, 3), 2);
  assert.equal(rowByKey("ArrowUp", 0, 3), 0);
  assert.equal(rowByKey("Home", 2, 3), 0);
  assert.equal(rowByKey("End", 0, 3), 2);
  assert.equal(rowByKey("x", 0, 3), null);
  assert.equal(rowByKey("j", -1, 0), null);
});

test("a reader is told how many runs there are and which are shown", () => {
  assert.equal(shownOf(0, 0, 0), "No run fits");
  assert.equal(shownOf(0, 1, 1), "1 run");
  assert.equal(shownOf(0, 12, 12), "12 runs");
  assert.equal(shownOf(50, 50, 100000), "51 to 100 of 100,000 runs");
});
