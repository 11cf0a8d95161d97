// @ts-check
import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { ScrollMargin } from "../../agentlab/widgets/parts/scroll_margin.js";

test("around what is seen is drawn as one scrolls, nothing after a jump until the reader rests", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let drawn = 0;
  const margin = new ScrollMargin(() => drawn++);
  const usual = margin.px;
  margin.moved(-560, 560);
  assert.deepEqual([margin.px > 0, drawn], [true, 0]);
  margin.moved(561, 560);
  assert.equal(margin.px, 0);
  mock.timers.tick(100);
  margin.moved(-900, 560);
  mock.timers.tick(100);
  assert.deepEqual([margin.px, drawn], [0, 0], "the reader went on");
  mock.timers.tick(100);
  assert.deepEqual([margin.px, drawn], [usual, 1]);
  margin.moved(900, 560);
  margin.destroy();
  mock.timers.tick(1000);
  assert.equal(drawn, 1);
  mock.timers.reset();
});
