// @ts-check
// What is open and what is folded in one view of a trace.

/** @typedef {import("./trace_state.js").Row} Row */

export class TraceFolds {
  constructor() {
    /** All steps folded; `flipped` are the exceptions. */
    this.all = false;
    /** @type {Set<number>} */
    this.flipped = new Set();
    /** @type {Map<string, boolean>} what the reader opened or closed, by id or number of the row */
    this.chosen = new Map();
  }

  /** @param {number} head */
  isFolded(head) {
    return this.flipped.has(head) !== this.all;
  }

  /** @param {number} head */
  flip(head) {
    if (!this.flipped.delete(head)) this.flipped.add(head);
  }

  flipAll() {
    this.all = !this.all;
    this.flipped.clear();
  }

  /**
   * Are the details of a row shown? Reasoning and long texts are folded until somebody opens them or while they arrive.
   * @param {number} number
   * @param {Row} row
   */
  isOpen(number, row) {
    const chosen = this.chosen.get(row.id ?? `#${number}`) ?? this.chosen.get(`#${number}`);
    return chosen ?? (row.live || (row.k !== "r" && row.k !== "t"));
  }

  /**
   * @param {number} number
   * @param {Row} row
   * @param {boolean} open
   */
  open(number, row, open) {
    this.chosen.delete(`#${number}`);
    this.chosen.set(row.id ?? `#${number}`, open);
  }

  /**
   * Open a row that may not be at hand yet.
   * @param {number} number
   * @param {Row | undefined} row
   */
  openForced(number, row) {
    if (row) this.open(number, row, true);
    else this.chosen.set(`#${number}`, true);
  }
}
