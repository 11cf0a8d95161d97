// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { applyBatch, codePoints, grownText, putPages, putWhole, readTrace } from "../../agentlab/widgets/parts/trace_state.js";
import { TraceStore } from "../../agentlab/widgets/parts/trace_store.js";

const row = (/** @type {string} */ k, /** @type {object} */ more = {}) => ({ k, ...more });

function fresh() {
  return readTrace({
    run_id: "r", seq: 4, live: true, head: { title: "t", status: "running" }, kinds: "uSr", tools: [], row_tools: [], page_size: 100,
    pages: { 0: [row("u", { text: "hi" }), row("S", { title: "Step 1" }), row("r", { id: "m", text: "so", live: true })] },
  });
}

test("a batch replaces the rows from its first on", () => {
  const trace = fresh();

  const change = applyBatch(trace, {
    seq: 5, from: 2, kinds: "rca", tools: ["look"], row_tools: [[3, 0]],
    rows: [row("r", { id: "m", text: "so it is" }), row("c", { id: "c1", title: "look", ask: { call_id: "1" } }), row("a", { text: "yes" })],
  });

  assert.deepEqual(change, { outcome: "applied", from: 2, grown: [] });
  assert.equal(trace.kinds, "uSrca");
  assert.deepEqual([...trace.toolOf], [[3, 0]]);
  assert.deepEqual(trace.asks, [3]);
  assert.equal(trace.rows.get(2)?.text, "so it is");
  applyBatch(trace, { seq: 6, from: 1, kinds: "a", tools: ["look"], row_tools: [], rows: [row("a")] });
  assert.equal(trace.kinds, "ua");
  assert.deepEqual([[...trace.rows.keys()], [...trace.toolOf], trace.asks], [[0, 1], [], []]);
});

test("a row that did not change stays the same object, wherever it goes", () => {
  const trace = fresh();
  const before = trace.rows.get(2);

  applyBatch(trace, { seq: 5, from: 2, kinds: "tr", rows: [row("t", { text: "new" }), row("r", { id: "m", text: "so", live: true })] });

  assert.equal(trace.rows.get(3), before);
  assert.equal(trace.rows.get(2)?.k, "t");
});

test("what was heard twice is let go, and a gap is told", () => {
  const trace = fresh();

  assert.deepEqual(applyBatch(trace, { seq: 4, from: 0, kinds: "", rows: [] }), { outcome: "old" });
  assert.deepEqual(applyBatch(trace, { seq: 6, head: { title: "x", status: "y" } }), { outcome: "gap" });
  assert.deepEqual(applyBatch(trace, { seq: 5, from: 9, kinds: "u", rows: [row("u")] }), { outcome: "gap" });
  assert.equal(trace.kinds, "uSr");
  assert.equal(trace.head.title, "t");
  assert.equal(applyBatch(trace, { seq: 5, head: { title: "x", status: "y" } }).outcome, "applied");
  assert.equal(trace.head.title, "x");
});

test("a growing text stands anew from the place that is told, and a piece that is missing is a gap", () => {
  const trace = fresh();

  assert.deepEqual(applyBatch(trace, { seq: 5, live: [[2, "text", 2, " it"], [2, "text", 5, " goes"]] }), {
    outcome: "applied", from: null, grown: [[2, "text"], [2, "text"]],
  });
  assert.equal(trace.rows.get(2)?.text, "so it goes");
  applyBatch(trace, { seq: 6, live: [[2, "text", 6, "[hidden]"]] });
  assert.equal(trace.rows.get(2)?.text, "so it [hidden]");
  applyBatch(trace, { seq: 7, live: [[2, "text", 14, "!"]] });
  assert.equal(trace.rows.get(2)?.text, "so it [hidden]!");
  assert.deepEqual(applyBatch(trace, { seq: 8, live: [[2, "text", 99, "!"]] }), { outcome: "gap" });
});

test("lengths are counted as Python counts them", () => {
  assert.equal(codePoints("a😀b"), 3);
  assert.equal(codePoints("\ud83d"), 1, "half a pair counts, too");
  assert.equal(grownText("a😀😀", 3, 2, "b"), "a😀b");
  assert.equal(grownText("😀b", 2, 0, "x"), "x");
  assert.equal(grownText("a", 1, 2, "x"), null);
  const trace = fresh();
  applyBatch(trace, { seq: 5, from: 2, kinds: "r", rows: [row("r", { id: "m", text: "😀😀", live: true })] });
  applyBatch(trace, { seq: 6, live: [[2, "text", 2, "😀"], [2, "text", 3, "!"]] });
  assert.equal(trace.rows.get(2)?.text, "😀😀😀!");
});

test("a delta for a page that is not at hand is let go, one beyond the end is a gap", () => {
  const trace = readTrace({ seq: 0, kinds: "u".repeat(300), page_size: 100, pages: {} });

  assert.equal(applyBatch(trace, { seq: 1, live: [[250, "text", 7, "x"]] }).outcome, "applied");
  assert.equal(applyBatch(trace, { seq: 2, live: [[300, "text", 0, "x"]] }).outcome, "gap");
});

test("pages go to their place, and rows beyond the end are let go", () => {
  const trace = readTrace({ seq: 0, kinds: "uuuc", page_size: 2, pages: { 0: [row("u"), row("u")] } });

  putPages(trace, { 1: [row("u"), row("c", { ask: { call_id: "1" } }), row("u")] });

  assert.deepEqual([...trace.rows.keys()], [0, 1, 2, 3]);
  assert.deepEqual(trace.asks, [3]);
});

test("a text that was sent whole stays whole when its row comes again, cut", () => {
  const trace = readTrace({ seq: 0, kinds: "u", page_size: 100, pages: { 0: [row("u", { id: "m", text: "abc", text_more: 3 })] } });

  putWhole(trace, { row: 0, field: "text", text: "abcdef" });
  const whole = trace.rows.get(0);
  applyBatch(trace, { seq: 1, from: 0, kinds: "u", rows: [row("u", { id: "m", text: "abc", text_more: 3 })] });

  assert.deepEqual(whole, { k: "u", id: "m", text: "abcdef", text_more: 0 });
  assert.equal(trace.rows.get(0), whole);
  applyBatch(trace, { seq: 2, from: 0, kinds: "u", rows: [row("u", { id: "m", text: "xyz", text_more: 3 })] });
  assert.equal(trace.rows.get(0)?.text, "xyz", "another text is not the whole of that one");
});

test("the store asks once for what it missed, and both views hear of the answer", () => {
  /** @type {Map<string, (...args: any[]) => void>} */
  const listeners = new Map();
  /** @type {any[]} */
  const sent = [];
  const bytes = (/** @type {any} */ value) => new TextEncoder().encode(JSON.stringify(value));
  const store = new TraceStore({
    get: () => bytes({ seq: 1, kinds: "u", page_size: 100, pages: { 0: [row("u")] } }),
    on: (name, listener) => listeners.set(name, listener),
    send: (message) => sent.push(message),
  });
  /** @type {string[]} */
  const heard = [];
  store.listen((news) => heard.push(`first ${news.what}`));
  const end = store.listen((news) => heard.push(`second ${news.what}`));
  const tell = (/** @type {string} */ type, /** @type {any} */ fields) => listeners.get("msg:custom")?.({ type }, [bytes(fields)]);

  tell("batch", { seq: 3, from: 1, kinds: "a", rows: [row("a")] });
  tell("batch", { seq: 4, from: 2, kinds: "a", rows: [row("a")] });
  assert.deepEqual(sent, [{ type: "resync" }]);
  assert.deepEqual(heard, []);
  tell("snapshot", { seq: 4, kinds: "uaa", page_size: 100, pages: {} });
  tell("batch", { seq: 4, from: 2, kinds: "a", rows: [row("a")] });
  tell("batch", { seq: 5, from: 3, kinds: "a", rows: [row("a")] });
  assert.deepEqual(heard, ["first all", "second all", "first rows", "second rows"]);
  end();
  tell("problem", { text: "?" });
  assert.deepEqual(heard.at(-1), "first message");
  assert.equal(store.trace.kinds, "uaaa");
});
