import assert from "node:assert/strict";
import { test } from "node:test";

import { openCall } from "../../agentlab/widgets/approval_card.js";
import { alwaysWords, conditionProblem } from "../../agentlab/widgets/parts/always.js";
import { approvalKey, waitingWords } from "../../agentlab/widgets/parts/approval.js";
import { readNumber } from "../../agentlab/widgets/parts/form_fields.js";
import { UNREADABLE } from "../../agentlab/widgets/parts/schema_errors.js";

test("a person's number is read as JSON would have it", () => {
  for (const [text, value] of [["3", 3], [" -2 ", -2], ["+4", 4], [".5", 0.5], ["-.5", -0.5], ["1e3", 1000]]) assert.equal(readNumber(text, "number").value, value, text);
});

test("what is no number, or too long for one, is not read", () => {
  for (const text of ["", "abc", "1,5", "0x10", "1.", "01", "Infinity", "NaN", "--1", "9007199254740993", "1e400"]) assert.equal(readNumber(text, "number").value, UNREADABLE, text);
});

test("the scope of always is spelt out", () => {
  assert.equal(alwaysWords("save", { kind: "exact" }), "This call runs now. After it, calls of save with exactly these arguments run without a question, as long as this agent lives.");
  assert.equal(alwaysWords("save", { kind: "pattern", where: ['path == "a.txt"', "n < 3"], uses: 1 }), 'This call runs now. After it, calls of save where path == "a.txt" and n < 3 run without a question, 1 time.');
  assert.match(alwaysWords("save", { kind: "tool", uses: 5 }), /all calls of save, whatever their arguments run without a question, 5 times\./);
});

test("conditions are read as Python reads them", () => {
  for (const text of ['path == "a.txt"', "n >= 3", "path under notes", 'path in ["a"]', "path not  in [1]", "path like *.txt", " path contains x "]) assert.equal(conditionProblem(text, ["path", "n"]), null, text);
  for (const text of ["", "path", "path ==", "== 3", "path is x", "path.name == 1", "a b == 1", "pathunder notes"]) assert.match(conditionProblem(text, ["path", "n"]), /write an argument/, text);
  assert.match(conditionProblem("pat == 1", ["path"]), /no argument pat: path/);
});

test("the time of waiting is told as a person counts it", () => {
  assert.deepEqual([-1, 0.4, 59.9, 61, 3600, 7325].map(waitingWords), ["0 s", "0 s", "59 s", "1 min 01 s", "1 h 00 min", "2 h 02 min"]);
});

test("the call that was chosen stays open as long as it waits", () => {
  const asks = [{ call_id: "a" }, { call_id: "b" }];
  assert.equal(openCall(asks, null), "a");
  assert.equal(openCall(asks, "b"), "b");
  assert.equal(openCall(asks, "gone"), "a");
  assert.equal(openCall([], "gone"), null);
});

test("keys act on a call, but not where letters are typed, nor with a control key, nor without a call", () => {
  const done = [];
  let isSettling = false;
  const part = { isSettling: () => isSettling, approve: () => done.push("approve"), deny: () => done.push("deny"), edit: () => done.push("edit") };
  const press = (key, more = {}, on = part) => approvalKey({ key, target: null, preventDefault() {}, stopPropagation() {}, ...more }, on);
  assert.deepEqual(["a", "d", "e", "x"].map((key) => press(key)), [true, true, true, false]);
  assert.deepEqual([{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { repeat: true }, { target: { closest: () => ({}) } }].map((more) => press("a", more)), [false, false, false, false, false]);
  assert.equal(press("a", {}, null), false);
  isSettling = true;
  assert.equal(press("a"), true, "taken, so that nobody else acts on it");
  assert.deepEqual(done, ["approve", "deny", "edit"]);
});
