// @ts-check
// Which rows of a trace are shown, and in what order: roles, tools, folded steps, pages.

/** Longer texts stand in a box of their own, and matches are not marked in them. */
export const MANY_CHARS = 40_000;

/** Kinds of rows: the letter in `kinds`, what a reader calls it, and how high one is about [px]. */
export const ROW_KINDS = new Map([
  ["u", { name: "user", height_px: 64 }],
  ["a", { name: "agent", height_px: 84 }],
  ["r", { name: "reasoning", height_px: 30 }],
  ["c", { name: "tool calls", height_px: 118 }],
  ["t", { name: "told to the model", height_px: 30 }],
  ["d", { name: "goes on or stops", height_px: 30 }],
  ["e", { name: "errors", height_px: 58 }],
  ["S", { name: "steps", height_px: 35 }],
]);

/**
 * @typedef {object} RowFilter
 * @property {string | null} kind only rows of this letter
 * @property {number | null} tool only calls of this tool
 * @property {(row: number) => boolean} isFolded for the head of a step
 * @property {(row: number) => boolean} waits a person is asked there: never hidden
 */

/**
 * The rows to show. The head of a step stands above what is left of it; what people and the agent said is seen with
 * its step folded, and so is what waits for a person.
 * @param {string} kinds
 * @param {ReadonlyMap<number, number>} toolOf
 * @param {RowFilter} filter
 * @returns {Int32Array}
 */
export function visibleRows(kinds, toolOf, { kind, tool, isFolded, waits }) {
  const rows = new Int32Array(kinds.length);
  const filtered = kind !== null || tool !== null;
  let count = 0;
  let head = -1;
  let headShown = true;
  let closed = false;
  for (let row = 0; row < kinds.length; row++) {
    const letter = kinds[row];
    if (letter === "S") {
      head = row;
      closed = isFolded(row);
      headShown = !filtered || kind === "S";
      if (headShown) rows[count++] = row;
      continue;
    }
    const kept = waits(row);
    if (filtered && !kept && !passes(row, letter)) continue;
    if (!headShown) {
      rows[count++] = head;
      headShown = true;
    }
    if (closed && !kept && letter !== "u" && letter !== "a") continue;
    rows[count++] = row;
  }
  return rows.slice(0, count);

  /** @param {number} row @param {string} letter */
  function passes(row, letter) {
    return (kind === null || letter === kind) && (tool === null || toolOf.get(row) === tool);
  }
}

/**
 * The head of the step that a row stands in; -1 before the first.
 * @param {string} kinds
 * @param {number} row
 */
export function stepHead(kinds, row) {
  return row < 0 ? -1 : kinds.lastIndexOf("S", row);
}

/**
 * The first row after a step.
 * @param {string} kinds
 * @param {number} head
 */
export function stepEnd(kinds, head) {
  const next = kinds.indexOf("S", head + 1);
  return next < 0 ? kinds.length : next;
}

/**
 * The tools that a step called, in order, each once, with how often.
 * @param {string} kinds
 * @param {ReadonlyMap<number, number>} toolOf
 * @param {number} head
 * @returns {[number, number][]}
 */
export function toolsOfStep(kinds, toolOf, head) {
  /** @type {Map<number, number>} */
  const times = new Map();
  for (let row = head + 1; row < stepEnd(kinds, head); row++) {
    const tool = toolOf.get(row);
    if (tool !== undefined) times.set(tool, (times.get(tool) ?? 0) + 1);
  }
  return [...times];
}

/**
 * The pages to ask for: what is seen first, then its neighbours; not what is at hand or was asked for already.
 * @param {{ first: number, last: number, rows: number, pageSize: number }} seen rows drawn, and how many there are
 * @param {(page: number) => boolean} isKnown
 * @returns {number[]}
 */
export function pagesToAsk({ first, last, rows, pageSize }, isKnown) {
  if (!rows) return [];
  const end = Math.floor((rows - 1) / pageSize);
  const from = Math.floor(Math.max(0, first) / pageSize);
  const to = Math.min(end, Math.floor(Math.max(0, last) / pageSize));
  const pages = [];
  for (let page = from; page <= to; page++) pages.push(page);
  pages.push(to + 1, from - 1);
  return pages.filter((page) => page >= 0 && page <= end && !isKnown(page));
}

/**
 * The match to go to next, around the ends.
 * @param {readonly number[]} found rows, rising
 * @param {number} from the row where the reader is
 * @param {1 | -1} direction
 * @returns {number} place in `found`; -1 if there is none
 */
export function nextFound(found, from, direction) {
  if (!found.length) return -1;
  if (direction === 1) {
    const place = found.findIndex((row) => row > from);
    return place < 0 ? 0 : place;
  }
  for (let place = found.length - 1; place >= 0; place--) if (found[place] < from) return place;
  return found.length - 1;
}

/**
 * A text cut where it matches: every second piece is a match.
 * @param {string} text
 * @param {string} query plain words; case does not matter
 * @param {number} [limit] matches at most
 * @returns {string[]}
 */
export function matchPieces(text, query, limit = 300) {
  if (!query) return [text];
  const pattern = new RegExp(query.replace(/[.*+?^${}()|[\]\\/]/g, (sign) => `\\${sign}`), "giu");
  const pieces = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    pieces.push(text.slice(end, match.index), match[0]);
    end = match.index + match[0].length;
    if (pieces.length >= 2 * limit) break;
  }
  pieces.push(text.slice(end));
  return pieces;
}
