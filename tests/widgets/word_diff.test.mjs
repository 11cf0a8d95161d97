import assert from "node:assert/strict";
import { test } from "node:test";

import { shortDiff, wordDiff } from "../../agentlab/widgets/parts/word_diff.js";

const side = (pieces, kind) => pieces.filter((piece) => piece.kind === "same" || piece.kind === kind).map((piece) => piece.text).join("");
const marked = (before, after) => wordDiff(before, after).map(({ kind, text }) => ({ same: text, gone: `[-${text}-]`, new: `{+${text}+}` })[kind]).join("");

test("words that changed are marked, the others stay", () => {
  assert.equal(marked("the meeting is on Thursday at ten", "the meeting is on Friday at ten"), "the meeting is on [-Thursday-]{+Friday+} at ten");
  assert.equal(marked("a b", "a x b"), "a {+x +}b");
  assert.equal(marked("a x b", "a b"), "a [-x -]b");
  assert.equal(marked("same", "same"), "same");
  assert.equal(marked("", "new"), "{+new+}");
  assert.equal(marked("gone", ""), "[-gone-]");
});

test("words that change together are one change", () => {
  assert.equal(marked("the last quarter.", "the whole year."), "the [-last quarter-]{+whole year+}.");
});

test("both texts can be read from the pieces, whatever is in them", () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const words = ["a", "b", "größe", "🐈", " ", "\n", "  ", "\t", ".", "_", "日本", "e\u0301"];
  const text = () => Array.from({ length: random(30) }, () => words[random(words.length)]).join("");
  for (let i = 0; i < 500; i++) {
    const [before, after] = [text(), text()];
    const pieces = wordDiff(before, after);
    assert.equal(side(pieces, "gone"), before);
    assert.equal(side(pieces, "new"), after);
  }
});

test("texts too long to be compared are replaced as a whole, their same ends apart", () => {
  const long = (word) => `begin ${Array.from({ length: 3000 }, (_, i) => (i % 100 ? `${word}${i}` : "same.")).join(" ")} ${word} end`;
  const pieces = wordDiff(long("x"), long("y"));
  assert.deepEqual(pieces.map(({ kind }) => kind), ["same", "gone", "new", "same"]);
  assert.equal(side(pieces, "new"), long("y"));
});

test("long unchanged stretches are shortened to what stands beside a change", () => {
  const pieces = shortDiff(wordDiff(`${"a ".repeat(200)}old${" b".repeat(200)}`, `${"a ".repeat(200)}new${" b".repeat(200)}`), 10);
  assert.deepEqual(pieces.map(({ text }) => text.length), [13, 3, 3, 13]);
});
