import assert from "node:assert/strict";
import { test } from "node:test";

import { isTyping, readJson } from "../../agentlab/widgets/parts/dom.js";

const sent = (text) => new DataView(new TextEncoder().encode(text).buffer);

test("what Python sends is read, whatever letters it is made of", () => {
  assert.deepEqual(readJson(sent('{"text": "größer 🐈 </script>"}')), { text: "größer 🐈 </script>" });
});

test("a message without a buffer holds nothing", () => {
  assert.deepEqual(readJson(undefined), {});
});

test("a view into the middle of a longer buffer is read alone", () => {
  const long = new TextEncoder().encode('xx{"n": 1}yy');
  assert.deepEqual(readJson(new DataView(long.buffer, 2, 8)), { n: 1 });
});

test("letters are no commands where they are typed", () => {
  const inside = (selector) => ({ closest: (wanted) => (wanted.split(", ").includes(selector) ? {} : null) });
  for (const name of ["input", "textarea", "select", "[contenteditable]"]) assert.equal(isTyping(inside(name)), true);
  assert.equal(isTyping(inside("button")), false);
  assert.equal(isTyping(null), false);
});
