// @ts-check
// Where the rows of a long list lie: heights, of which most are guessed, and their sums.

/** Heights of a list and where each item begins. A change and a look-up cost the logarithm of the length. */
export class Offsets {
  /** @param {ArrayLike<number>} heights */
  constructor(heights) {
    this.length = heights.length;
    this.heights = Float64Array.from(heights);
    // a Fenwick tree: sums[i] holds the sum of the block that ends at i, as long as the lowest set bit of i
    this.sums = new Float64Array(this.length + 1);
    this.total = 0;
    for (let i = 1; i <= this.length; i++) {
      this.sums[i] += this.heights[i - 1];
      this.total += this.heights[i - 1];
      const parent = i + (i & -i);
      if (parent <= this.length) this.sums[parent] += this.sums[i];
    }
    this.top_bit = this.length ? 1 << (31 - Math.clz32(this.length)) : 0;
  }

  /**
   * Where an item begins; the length of the list gives its end.
   * @param {number} index
   */
  top(index) {
    let sum = 0;
    for (let i = Math.min(index, this.length); i > 0; i -= i & -i) sum += this.sums[i];
    return sum;
  }

  /**
   * The item at a height; the first or last one beyond the ends, -1 in an empty list.
   * @param {number} y
   */
  at(y) {
    let index = 0;
    let left = y;
    for (let bit = this.top_bit; bit; bit >>= 1) {
      if (index + bit <= this.length && this.sums[index + bit] <= left) {
        index += bit;
        left -= this.sums[index];
      }
    }
    return Math.min(index, this.length - 1);
  }

  /**
   * @param {number} index
   * @param {number} height
   */
  set(index, height) {
    const more = height - this.heights[index];
    if (!more) return;
    this.heights[index] = height;
    this.total += more;
    for (let i = index + 1; i <= this.length; i += i & -i) this.sums[i] += more;
  }
}

/**
 * First and last item to draw: what is seen, and a margin on both sides.
 * @param {Offsets} offsets
 * @param {number} top
 * @param {number} height
 * @param {number} margin
 * @returns {[number, number]} the last is below the first if there is nothing
 */
export function windowOf(offsets, top, height, margin) {
  if (!offsets.length) return [0, -1];
  return [offsets.at(Math.max(0, top - margin)), offsets.at(top + height + margin)];
}

/**
 * Where a row stands among the rows shown; -1 if it is not among them.
 * @param {Int32Array} items row numbers, rising
 * @param {number} row
 */
export function indexOfRow(items, row) {
  const index = lastUpTo(items, row);
  return items[index] === row ? index : -1;
}

/**
 * The last of the rows shown whose number is not above `row`; -1 if there is none.
 * @param {Int32Array} items row numbers, rising
 * @param {number} row
 */
export function lastUpTo(items, row) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle] <= row) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Does the list keep to its end? It does until the reader scrolls up, and again once he is back at the end.
 * @param {boolean} following
 * @param {{ top: number, before: number, height: number, total: number }} scroll `before`: where the list itself put it
 */
export function followsTail(following, { top, before, height, total }) {
  if (total - height - top <= 4) return true;
  return following && top >= before;
}
