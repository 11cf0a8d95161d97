// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { approveAllWords, beyondWords, stillWaiting } from "../../agentlab/widgets/parts/approve_all.js";
import { goneWords, kernelLine } from "../../agentlab/widgets/parts/kernel_line.js";
import { LostLetters, QUIET_MS } from "../../agentlab/widgets/parts/settling.js";

test("letters typed for a field that went are let go until nobody types, or Tab or a field begins something new", () => {
  let now = 0, stopped = 0;
  const letters = new LostLetters(() => now);
  /** @param {string} key @param {any} [target] */
  const press = (key, target = null) => letters.takes(/** @type {any} */ ({ key, target, preventDefault() {}, stopPropagation: () => stopped++ }));
  assert.equal(press("a"), false, "nothing is lost yet");

  letters.begin();
  for (const key of "a dead end") {
    now += QUIET_MS - 1; // each letter begins the wait anew
    assert.equal(press(key), true);
  }
  assert.equal(stopped, "a dead end".length);
  now += QUIET_MS + 1;
  assert.deepEqual([press("a"), press("a")], [false, false]);

  letters.begin();
  assert.deepEqual([press("Tab"), press("a")], [false, false]);
  letters.begin();
  assert.deepEqual([press("a", { closest: () => ({}) }), press("a")], [false, false]);
});

test("a line that cannot send is closed, and says so once", () => {
  let gone = 0, tries = 0;
  const sent = [];
  const line = kernelLine({ send: (message) => { if (tries++) throw new Error("Cannot send"); sent.push(message); } }, () => gone++);
  const warn = console.warn;
  console.warn = () => {};
  assert.deepEqual([line({ type: "ping" }), line({ type: "ping" }), line({ type: "ping" })], [true, false, false]);
  console.warn = warn;
  assert.deepEqual([sent.length, tries, gone], [1, 2, 1]);
  assert.match(goneWords('run-"1"'), /^the kernel is gone; lab\.view\("run-\\"1\\""\) opens the run again/);
});

test("what is approved as a whole is what was shown and still waits as it was", () => {
  const ask = (call_id, call_hash = "h") => ({ call_id, call_hash });
  assert.deepEqual(stillWaiting([ask("a"), ask("b"), ask("c")], [ask("b"), ask("c", "other"), ask("late")]), [ask("b")]);
  assert.equal(approveAllWords(3), "Approve these 3 calls, each as it stands in its form?");
  assert.equal(beyondWords(0), "");
  assert.match(beyondWords(1), /^1 more waits in rows that are not loaded/);
  assert.match(beyondWords(2), /^2 more wait in rows/);
});
