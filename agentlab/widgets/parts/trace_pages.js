// @ts-check
// Asks for the pages of a trace that are about to be seen; what was scrolled past meanwhile is not asked for.

import { pagesToAsk } from "./trace_rows.js";

/** @typedef {import("./trace_store.js").TraceStore} TraceStore */

const ASK_EVERY_MS = 80;
const ASK_AGAIN_MS = 5000;
const ASKED_AT_MOST = 6;

export class PageAsker {
  /** @param {TraceStore} store */
  constructor(store) {
    this.store = store;
    this.timer = 0;
    this.first = 0;
    this.last = 0;
    /** @type {Map<number, number>} when a page was asked for [ms] */
    this.asked = new Map();
  }

  /**
   * These rows are seen now.
   * @param {number} first
   * @param {number} last
   */
  seen(first, last) {
    this.first = first;
    this.last = last;
    if (!this.timer && this.missing().length) this.timer = window.setTimeout(() => this.ask(), ASK_EVERY_MS);
  }

  /** Pages have come. */
  arrived() {
    for (const page of [...this.asked.keys()]) if (this.isAtHand(page)) this.asked.delete(page);
    this.seen(this.first, this.last);
  }

  /** The trace is another one. */
  forget() {
    this.asked.clear();
  }

  destroy() {
    clearTimeout(this.timer);
  }

  /** @private */
  ask() {
    this.timer = 0;
    const room = ASKED_AT_MOST - this.asked.size;
    const pages = this.missing().slice(0, Math.max(0, room));
    if (pages.length) {
      for (const page of pages) this.asked.set(page, Date.now());
      this.store.send({ type: "page", pages });
    }
    if (this.missing().length) this.timer = window.setTimeout(() => this.ask(), ASK_EVERY_MS);
  }

  /** @private */
  missing() {
    for (const [page, at] of this.asked) if (Date.now() - at > ASK_AGAIN_MS) this.asked.delete(page);
    const { kinds, pageSize } = this.store.trace;
    return pagesToAsk(
      { first: this.first, last: this.last, rows: kinds.length, pageSize },
      (page) => this.asked.has(page) || this.isAtHand(page),
    );
  }

  /** @private @param {number} page */
  isAtHand(page) {
    const { kinds, pageSize, rows } = this.store.trace;
    for (let row = page * pageSize; row < Math.min(kinds.length, (page + 1) * pageSize); row++) if (!rows.has(row)) return false;
    return true;
  }
}
