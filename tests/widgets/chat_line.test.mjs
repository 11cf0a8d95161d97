// The line in which a person writes: which key sends, and what stands in it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { chatHint, sends } from "../../agentlab/widgets/chat_line.js";

const key = (fields) => ({ key: "Enter", shiftKey: false, isComposing: false, ...fields });

test("Enter sends, Shift+Enter and a word that is being composed do not", () => {
  assert.equal(sends(key({})), true);
  assert.equal(sends(key({ shiftKey: true })), false);
  assert.equal(sends(key({ isComposing: true })), false);
  assert.equal(sends(key({ key: "a" })), false);
});

test("the empty line says whom one writes to, or that one has to wait", () => {
  assert.equal(chatHint({ to: "guide", busy: false, note: "", taken: 0 }), "Write to guide");
  assert.equal(chatHint({ to: "guide", busy: true, note: "", taken: 0 }), "guide is at work …");
});
