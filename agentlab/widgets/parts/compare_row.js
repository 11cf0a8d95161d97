// @ts-check
// One row of two runs: each side's heading and texts, with the words marked that differ.
import { button, h } from "./dom.js";

/** @typedef {["=" | "-" | "+" | "…", string]} CompareSpan */
/** @typedef {[string, CompareSpan[], number]} CompareField name, spans, characters that were left out */
/** @typedef {{ step: number, title: string, flags: string[], facts: string[], fields?: CompareField[] }} CompareSide */
/** @typedef {{ m: "=" | "~" | "<" | ">", k: string, label: string, l?: CompareSide, r?: CompareSide, same?: CompareField[] }} CompareRow */

const SIDE_CLASSES = { "=": "same", "~": "differs", "<": "left", ">": "right" };
const SIDE_WORDS = { "=": "same in both", "~": "differs", "<": "only in A", ">": "only in B" };

/**
 * @param {CompareRow} row
 * @param {number} number
 * @param {boolean} isFirst
 * @param {() => void} askForAll
 */
export function compareRow(row, number, isFirst, askForAll) {
  const one = row.m === "=" && row.k !== "S";
  const side = /** @type {CompareSide} */ (row.l ?? row.r);
  const cells = one
    ? [h("div", { role: "cell", "aria-colspan": "2" }, compareTitle(row, side, null, ""), ...compareFields(row.same ?? [], askForAll))]
    : [compareCell(row, row.l, row.r, "del", askForAll), compareCell(row, row.r, row.l, "ins", askForAll)];
  return h(
    "div",
    {
      class: `al-c-row al-c-${SIDE_CLASSES[row.m]} al-c-k${row.k}${one ? " al-c-one" : ""}${isFirst ? " al-c-first" : ""}`,
      role: "row", tabindex: "-1", "aria-rowindex": number + 2, "aria-label": compareRowName(row), data: { row: number },
    },
    isFirst && h("strong", { class: "al-c-here" }, "First difference"),
    ...cells,
  );
}

/** What a screen reader says of a row. @param {CompareRow} row */
export function compareRowName(row) {
  const side = row.l ?? row.r;
  const name = row.k === "S" ? side?.title : [row.label, side?.title].filter(Boolean).join(" ");
  return `${name}, ${SIDE_WORDS[row.m]}`;
}

/** @param {CompareRow} row @param {CompareSide | undefined} own @param {CompareSide | undefined} other @param {"del" | "ins"} tag @param {() => void} askForAll */
function compareCell(row, own, other, tag, askForAll) {
  if (!own) return h("div", { role: "cell", class: row.m === "=" ? null : "al-c-none" }, h("span", { class: "al-sr" }, row.m === "=" ? "" : "nothing here"));
  const against = row.m === "~" && other ? other : null;
  return h("div", { role: "cell", class: tag === "del" ? "al-c-l" : "al-c-r" }, compareTitle(row, own, against, tag), ...compareFields(own.fields ?? [], askForAll));
}

/** @param {CompareRow} row @param {CompareSide} own @param {CompareSide | null} other @param {"del" | "ins" | ""} tag */
function compareTitle(row, own, other, tag) {
  const marked = (/** @type {Node} */ node, /** @type {boolean} */ differs) => (tag && differs ? h(tag, {}, node) : node);
  const label = row.k === "S" ? h("strong", {}, own.title.charAt(0).toUpperCase() + own.title.slice(1)) : h("span", { class: "al-who" }, row.label);
  return h(
    "div",
    { class: "al-c-title" },
    label,
    row.k !== "S" && own.title && marked(h("code", {}, h("bdi", {}, own.title)), !!other && other.title !== own.title),
    ...own.flags.map((flag) => h("small", {}, marked(document.createTextNode(flag), !!other && !other.flags.includes(flag)))),
    own.facts.length > 0 && h("small", { class: "al-c-facts" }, own.facts.join(" · ")),
  );
}

/** @param {CompareField[]} fields @param {() => void} askForAll */
function compareFields(fields, askForAll) {
  return fields.flatMap(([name, spans, more]) => [name && h("small", { class: "al-c-name" }, name), comparePre(spans, more, askForAll)]);
}

/**
 * A text with the words marked that differ.
 * @param {CompareSpan[]} spans
 * @param {number} more
 * @param {(() => void) | null} askForAll
 */
export function comparePre(spans, more, askForAll) {
  const left = more > 0 || spans.some(([op]) => op === "…");
  const pre = h("pre", { dir: "auto" }, ...spans.map(compareSpan), more > 0 && h("small", {}, ` … ${more.toLocaleString("en")} more characters`));
  return h("div", {}, pre, left && askForAll && button("Show all", askForAll, { class: "al-c-more al-quiet" }));
}

/** @param {CompareSpan} span */
function compareSpan([op, text]) {
  if (op === "=") return text;
  if (op === "…") return h("small", {}, `[… ${Number(text).toLocaleString("en")} same characters]`);
  return h(op === "-" ? "del" : "ins", {}, text);
}
