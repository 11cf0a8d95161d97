// @ts-check
// A list of any length of which only what is seen is in the page. Heights are guessed until a row is drawn, then
// measured; what the reader looks at stays where it is when something above changes its height.

import { Offsets, followsTail, indexOfRow, lastUpTo, windowOf } from "./offsets.js";
import { ScrollMargin } from "./scroll_margin.js";

/**
 * @typedef {object} Drawn what stands in the page for a row
 * @property {HTMLElement} el
 * @property {() => void} [destroy]
 */
/** @typedef {{ drawn: Drawn, row: number, index: number, top: number }} Place */
/**
 * @typedef {object} ListHost
 * @property {(row: number) => number} estimate height of a row that was not drawn yet [px]
 * @property {(row: number) => string} keyOf stays with a row when others come before it
 * @property {(row: number, drawn: Drawn | undefined) => Drawn} draw makes it, or brings it up to date
 * @property {(first: number, last: number) => void} onWindow first and last row drawn
 * @property {() => void} onFollow the list began or ceased to keep to its end
 */

const LIST_ROUNDS = 4;
/** A line that ends this near to the lower edge is not quite seen. */
const EDGE_PX = 24;

export class VirtualList {
  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} feed inside it; holds the rows, and has no height of its own: nothing is laid out anew when
   *   the height of the list changes
   * @param {HTMLElement} sizer inside it, too; as high as the whole list
   * @param {ListHost} host
   */
  constructor(scroller, feed, sizer, host) {
    this.scroller = scroller;
    this.feed = feed;
    this.sizer = sizer;
    this.host = host;
    /** @type {Int32Array} row numbers, rising */
    this.items = new Int32Array(0);
    this.offsets = new Offsets([]);
    /** @type {Float32Array} by row number; 0: not measured */
    this.measured = new Float32Array(0);
    /** @type {Map<string, Place>} */
    this.shown = new Map();
    /** @type {WeakMap<Element, string>} */
    this.keys = new WeakMap();
    this.following = false;
    /**
     * What stays where it is: a row, and how far the upper edge of the view is below its top; null: the row stays in
     * the middle, also when its height turns out to be another one.
     * @type {{ row: number, offset: number | null }}
     */
    this.anchor = { row: -1, offset: 0 };
    this.before = 0;
    this.frame = 0;
    this.margin = new ScrollMargin(() => this.draw());
    this.sizes = new ResizeObserver((entries) => this.resized(entries));
    this.sizes.observe(scroller);
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  destroy() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
    this.margin.destroy();
    for (const { drawn } of this.shown.values()) drawn.destroy?.();
    this.shown.clear();
  }

  /**
   * Show these rows.
   * @param {Int32Array} items row numbers, rising
   * @param {number} rows how many there are in all
   */
  setItems(items, rows) {
    if (this.measured.length < rows) {
      const grown = new Float32Array(Math.max(rows + 64, Math.ceil(rows * 1.25)));
      grown.set(this.measured);
      this.measured = grown;
    }
    this.items = items;
    const heights = new Float64Array(items.length);
    for (let i = 0; i < items.length; i++) heights[i] = this.measured[items[i]] || this.host.estimate(items[i]);
    this.offsets = new Offsets(heights);
    this.hold();
    this.draw();
  }

  /**
   * Forget how high rows were: they are others now.
   * @param {number} from
   */
  forget(from) {
    this.measured.fill(0, from);
  }

  /** Draw what is seen, measure it, and draw again if that moved anything. */
  draw() {
    for (let round = 0; round < LIST_ROUNDS; round++) {
      this.place();
      if (!this.measure()) break;
      this.hold();
    }
    this.frame = 0;
  }

  /** A row that is drawn may have another height now. */
  settle() {
    if (!this.measure()) return;
    this.hold();
    this.line();
    this.drawSoon(); // not here: the sizes of new rows would be told of too late, when it was a size that called
  }

  /** As `draw`, before the next frame. */
  drawSoon() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  /** Row at the upper edge of the view, -1 if there is none. */
  topRow() {
    const index = this.offsets.at(this.scroller.scrollTop + 1);
    return index < 0 ? -1 : this.items[index];
  }

  /**
   * Bring a row into view.
   * @param {number} row
   * @param {"nearest" | "middle" | "top"} where
   * @returns {boolean} false if it is not among the rows shown
   */
  reveal(row, where) {
    const index = indexOfRow(this.items, row);
    if (index < 0) return false;
    for (let round = 0; round < 2; round++) {
      const offset = this.offsetFor(index, where);
      if (offset === null) break;
      this.following = false;
      this.anchor = { row, offset: where === "middle" ? null : offset };
      this.hold();
      this.draw();
    }
    this.host.onFollow();
    return true;
  }

  /**
   * Bring a place within a row that is drawn into view.
   * @param {number} row
   * @param {Element} place
   */
  revealWithin(row, place) {
    const drawn = this.drawnOf(row);
    if (!drawn) return;
    const { scrollTop, clientHeight } = this.scroller;
    const below = place.getBoundingClientRect().top - drawn.el.getBoundingClientRect().top;
    const top = this.offsets.top(indexOfRow(this.items, row)) + below - scrollTop;
    if (top >= 0 && top + place.clientHeight <= clientHeight - EDGE_PX) return;
    this.following = false;
    this.anchor = { row, offset: below - clientHeight / 2 };
    this.hold();
    this.draw();
    this.host.onFollow();
  }

  /**
   * Is at least a good part of the row seen?
   * @param {number} row
   */
  isSeen(row) {
    const index = indexOfRow(this.items, row);
    if (index < 0) return false;
    const top = this.offsets.top(index) - this.scroller.scrollTop;
    const bottom = top + this.offsets.heights[index];
    const seen = Math.min(bottom, this.scroller.clientHeight) - Math.max(top, 0);
    return seen >= Math.min(64, this.offsets.heights[index]);
  }

  /** Keep to the end from now on. */
  follow() {
    this.following = true;
    this.hold();
    this.draw();
    this.host.onFollow();
  }

  /**
   * Keep this row where it is, whatever changes.
   * @param {number} row
   */
  holdRow(row) {
    const index = indexOfRow(this.items, row);
    if (index < 0) return;
    this.following = false;
    this.anchor = { row, offset: this.scroller.scrollTop - this.offsets.top(index) };
    this.host.onFollow();
  }

  /**
   * What is drawn for a row, if it is.
   * @param {number} row
   */
  drawnOf(row) {
    for (const place of this.shown.values()) if (place.row === row) return place.drawn;
    return undefined;
  }

  /**
   * The row that an element stands in, -1 if in none.
   * @param {Element | null} element
   */
  rowOf(element) {
    for (let at = element; at && at !== this.feed; at = at.parentElement) {
      const key = this.keys.get(at);
      if (key !== undefined) return this.shown.get(key)?.row ?? -1;
    }
    return -1;
  }

  // how it works

  /** @private @param {number} index @param {"nearest" | "middle" | "top"} where */
  offsetFor(index, where) {
    const { clientHeight, scrollTop } = this.scroller;
    const top = this.offsets.top(index);
    const height = this.offsets.heights[index];
    if (where === "top" || height >= clientHeight) {
      return where === "nearest" && top < scrollTop + clientHeight && top + height > scrollTop ? null : 0;
    }
    if (where === "middle") return -(clientHeight - height) / 2;
    if (top < scrollTop) return 0;
    return top + height > scrollTop + clientHeight ? height - clientHeight : null;
  }

  /** @private */
  focused() {
    const root = /** @type {Document | ShadowRoot} */ (this.feed.getRootNode());
    return root.activeElement ?? null;
  }

  /** The row that holds the focus stays in the page, wherever it is. */
  focusedRow() {
    return this.rowOf(this.focused());
  }

  /** @private */
  fit() {
    const height = `${Math.round(this.offsets.total)}px`;
    if (this.sizer.style.height !== height) this.sizer.style.height = height;
  }

  /** @private Put the scroll position where the anchor, or the end, is. */
  hold() {
    this.fit();
    const { scroller, offsets, items } = this;
    if (!scroller.clientHeight) return;
    let top = offsets.total - scroller.clientHeight;
    if (!this.following) {
      const index = lastUpTo(items, this.anchor.row);
      const offset = items[index] === this.anchor.row ? (this.anchor.offset ?? this.offsetFor(index, "middle")) : 0;
      top = index < 0 ? 0 : offsets.top(index) + (offset ?? 0);
    }
    if (Math.abs(scroller.scrollTop - top) >= 1) scroller.scrollTop = top;
    this.before = scroller.scrollTop;
  }

  /** @private */
  scrolled() {
    const { scroller, offsets } = this;
    const top = scroller.scrollTop;
    if (!scroller.clientHeight || Math.abs(top - this.before) < 1) return; // hidden, or moved by the list itself
    const following = followsTail(this.following, {
      top, before: this.before, height: scroller.clientHeight, total: offsets.total,
    });
    const turned = following !== this.following;
    this.following = following;
    this.margin.moved(top - this.before, scroller.clientHeight);
    this.before = top;
    this.anchorAt(top);
    this.draw();
    if (turned) this.host.onFollow();
  }

  /** @private @param {number} top */
  anchorAt(top) {
    const focused = indexOfRow(this.items, this.focusedRow());
    const seen = focused >= 0 && this.isSeen(this.items[focused]);
    const index = seen ? focused : this.offsets.at(top);
    this.anchor = index < 0 ? { row: -1, offset: 0 } : { row: this.items[index], offset: top - this.offsets.top(index) };
  }

  /** @private @param {ResizeObserverEntry[]} entries */
  resized(entries) {
    if (entries.some((entry) => entry.target === this.scroller)) {
      if (!this.scroller.clientHeight) return; // taken out of the page for a while
      this.hold();
      this.drawSoon();
    }
    this.settle();
  }

  /** @private Make the rows of the window, drop the others. */
  place() {
    const { scroller, offsets, items, shown } = this;
    const [first, last] = windowOf(offsets, scroller.scrollTop, scroller.clientHeight, this.margin.px);
    const pinned = indexOfRow(items, this.focusedRow());
    const wanted = [];
    if (pinned >= 0 && pinned < first) wanted.push(pinned);
    for (let index = first; index <= last; index++) wanted.push(index);
    if (pinned > last) wanted.push(pinned);

    const old = new Map(shown);
    shown.clear();
    for (const index of wanted) {
      const row = items[index];
      let key = this.host.keyOf(row);
      if (shown.has(key)) key = `#${row}`;
      const was = old.get(key) ?? old.get(`#${row}`);
      if (was) for (const name of [key, `#${row}`]) if (old.get(name) === was) old.delete(name);
      shown.set(key, { drawn: this.host.draw(row, was?.drawn), row, index, top: was?.top ?? NaN });
    }
    for (const { drawn } of old.values()) {
      this.sizes.unobserve(drawn.el);
      drawn.el.remove();
      drawn.destroy?.();
    }
    this.order();
    this.line();
    if (last >= first) this.host.onWindow(items[first], items[last]);
  }

  /** @private The order in the page is the order of the rows. What holds the focus would lose it if it were moved. */
  order() {
    const focused = this.focused();
    let next = this.feed.firstElementChild;
    for (const [key, { drawn: { el }, index }] of this.shown) {
      this.keys.set(el, key);
      if (el.contains(focused)) {
        while (next && next !== el) {
          const after = next.nextElementSibling;
          this.feed.append(next); // its turn comes
          next = after;
        }
      }
      if (el === next) next = next.nextElementSibling;
      else {
        if (!el.parentElement) this.sizes.observe(el);
        this.feed.insertBefore(el, next);
      }
      setOnce(el, "aria-posinset", String(index + 1));
      setOnce(el, "aria-setsize", String(this.items.length));
    }
  }

  /** @private */
  line() {
    for (const place of this.shown.values()) {
      const top = this.offsets.top(place.index);
      if (place.top !== top) {
        place.top = top;
        place.drawn.el.style.transform = `translateY(${top}px)`;
      }
    }
  }

  /** @private True if a row is not as high as was thought. */
  measure() {
    let changed = false;
    if (!this.scroller.clientHeight) return changed;
    for (const { drawn: { el }, row, index } of this.shown.values()) {
      const height = el.getBoundingClientRect().height;
      if (!height) continue;
      this.measured[row] = height;
      if (Math.abs(height - this.offsets.heights[index]) < 0.25) continue;
      this.offsets.set(index, height);
      changed = true;
    }
    return changed;
  }
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
export function setOnce(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
