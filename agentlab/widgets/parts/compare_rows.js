// @ts-check
// The rows of two runs as they are drawn: blocks of a few rows, and gaps of same rows that are folded away.

/** @typedef {{ from: number, to: number, gap: boolean }} CompareBlock rows `from` up to, and without, `to` */

const GAP_CONTEXT = 2, LEAST_GAP = 4;

/**
 * The blocks of all rows, none longer than `size`, none over a page's edge. Rows that are the same on both sides and far
 * from a difference are a gap, unless they were opened.
 * @param {string} marks a letter a row, `=` where both sides are the same
 * @param {boolean} folded
 * @param {Set<number>} opened first rows of the gaps that were opened
 * @param {number} size
 * @returns {CompareBlock[]}
 */
export function compareBlocks(marks, folded, opened, size) {
  const blocks = /** @type {CompareBlock[]} */ ([]);
  for (const part of folded ? foldedParts(marks) : [{ from: 0, to: marks.length, gap: false }]) {
    if (part.gap && !opened.has(part.from)) blocks.push(part);
    else
      for (let from = part.from; from < part.to; from = Math.min(part.to, (Math.floor(from / size) + 1) * size))
        blocks.push({ from, to: Math.min(part.to, (Math.floor(from / size) + 1) * size), gap: false });
  }
  return blocks;
}

/** @param {string} marks @returns {CompareBlock[]} */
function foldedParts(marks) {
  const near = new Uint8Array(marks.length);
  let found = false;
  for (let n = 0; n < marks.length; n++)
    if (marks[n] !== "=") {
      found = true;
      near.fill(1, Math.max(0, n - GAP_CONTEXT), n + GAP_CONTEXT + 1);
    }
  if (!found) near.fill(1, 0, 2 * GAP_CONTEXT);
  const parts = /** @type {CompareBlock[]} */ ([]);
  for (let from = 0, to = 0; from < marks.length; from = to) {
    for (to = from; to < marks.length && near[to] === near[from]; ) to++;
    const gap = !near[from] && to - from >= LEAST_GAP;
    const last = parts.at(-1);
    if (last && last.gap === gap) last.to = to;
    else parts.push({ from, to, gap });
  }
  return parts;
}

/**
 * Where the next stretch of differences begins after a row, or the one before it; null where there is none.
 * @param {string} marks
 * @param {number} row
 * @param {1 | -1} direction
 * @returns {number | null}
 */
export function nextDifference(marks, row, direction) {
  const begins = (/** @type {number} */ n) => marks[n] !== "=" && (n === 0 || marks[n - 1] === "=");
  for (let n = row + direction; n >= 0 && n < marks.length; n += direction) if (begins(n)) return n;
  return null;
}

/**
 * How many stretches of differences there are, and in which of them, or behind which, a row is; from 1.
 * @param {string} marks
 * @param {number} row
 */
export function whichDifference(marks, row) {
  let count = 0, at = 0;
  for (let n = 0; n < marks.length; n++)
    if (marks[n] !== "=" && (n === 0 || marks[n - 1] === "=")) {
      count++;
      if (n <= row) at = count;
    }
  return { count, at };
}

/**
 * The row one further, among those that are to be seen.
 * @param {CompareBlock[]} blocks
 * @param {number} row
 * @param {1 | -1} direction
 */
export function rowBeside(blocks, row, direction) {
  const shown = blocks.filter((block) => !block.gap);
  const ordered = direction === 1 ? shown : shown.toReversed();
  for (const { from, to } of ordered) {
    if (direction === 1 && to - 1 > row) return Math.max(from, row + 1);
    if (direction === -1 && from < row) return Math.min(to - 1, row - 1);
  }
  return row;
}
