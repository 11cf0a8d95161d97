// @ts-check
// Two texts compared word by word.
import { h } from "./dom.js";

/** @typedef {{ kind: "same" | "gone" | "new", text: string }} DiffPiece */

const WORDS_AND_GAPS = /[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu;
/** Beyond so many pairs the middle is shown as replaced: nobody reads it, and the page must not wait. */
const MOST_PAIRS = 1_000_000;

/**
 * What stayed, what is gone and what is new, in order; the `same` and `gone` pieces make the old text, `same` and `new`
 * the new one.
 * @param {string} before
 * @param {string} after
 * @returns {DiffPiece[]}
 */
export function wordDiff(before, after) {
  const a = before.match(WORDS_AND_GAPS) ?? [], b = after.match(WORDS_AND_GAPS) ?? [];
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const pieces = /** @type {DiffPiece[]} */ ([]);
  const add = (/** @type {DiffPiece["kind"]} */ kind, /** @type {string} */ text) => {
    const last = pieces.at(-1);
    if (!text) return;
    if (last?.kind === kind) last.text += text;
    else pieces.push({ kind, text });
  };
  add("same", a.slice(0, start).join(""));
  for (const { kind, text } of middleDiff(a.slice(start, a.length - end), b.slice(start, b.length - end))) add(kind, text);
  add("same", end ? a.slice(a.length - end).join("") : "");
  return pieces;
}

/** By the longest common subsequence. @param {string[]} a @param {string[]} b @returns {DiffPiece[]} */
function middleDiff(a, b) {
  if (a.length * b.length > MOST_PAIRS) return [{ kind: "gone", text: a.join("") }, { kind: "new", text: b.join("") }];
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1] + 1 : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
  const pieces = /** @type {DiffPiece[]} */ ([]);
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) pieces.push({ kind: "same", text: a[i++] }), j++;
    else if (i < a.length && (j >= b.length || longest[(i + 1) * width + j] >= longest[i * width + j + 1])) pieces.push({ kind: "gone", text: a[i++] });
    else pieces.push({ kind: "new", text: b[j++] });
  }
  return groupedChanges(pieces);
}

/** Words that change together read better than word for word: a gap alone does not part two changes. @param {DiffPiece[]} pieces */
function groupedChanges(pieces) {
  const grouped = /** @type {DiffPiece[]} */ ([]);
  let gone = "", fresh = "";
  const flush = () => {
    if (gone) grouped.push({ kind: "gone", text: gone });
    if (fresh) grouped.push({ kind: "new", text: fresh });
    gone = fresh = "";
  };
  pieces.forEach((piece, i) => {
    const bridges = piece.kind === "same" && /^[ \t]+$/.test(piece.text) && gone && fresh && i + 1 < pieces.length && pieces[i + 1].kind !== "same";
    if (bridges) (gone += piece.text), (fresh += piece.text);
    else if (piece.kind === "gone") gone += piece.text;
    else if (piece.kind === "new") fresh += piece.text;
    else flush(), grouped.push(piece);
  });
  flush();
  return grouped;
}

/**
 * The pieces with long unchanged stretches shortened to their ends.
 * @param {DiffPiece[]} pieces
 * @param {number} [around] Characters kept beside a change.
 * @returns {DiffPiece[]}
 */
export function shortDiff(pieces, around = 40) {
  return pieces.map((piece, i) => {
    const before = i > 0 ? around : 0, after = i < pieces.length - 1 ? around : 0;
    if (piece.kind !== "same" || piece.text.length <= before + after + 20) return piece;
    return { kind: piece.kind, text: `${piece.text.slice(0, before)} … ${after ? piece.text.slice(-after) : ""}` };
  });
}

/**
 * The pieces as an element: what is gone struck out, what is new marked.
 * @param {DiffPiece[]} pieces
 */
export function diffElement(pieces) {
  const tags = /** @type {const} */ ({ same: "span", gone: "del", new: "ins" });
  return h("span", { class: "al-diff" }, h("span", { class: "al-sr" }, "changes: "), ...pieces.map(({ kind, text }) => h(tags[kind], {}, text)));
}
