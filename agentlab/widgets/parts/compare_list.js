// @ts-check
// The list of rows. Blocks stand as empty boxes of about their height until they come near to what is seen.
import { put, button, h } from "./dom.js";
import { compareRow } from "./compare_row.js";
import { compareBlocks, nextDifference, rowBeside } from "./compare_rows.js";

/** @typedef {import("./compare_rows.js").CompareBlock} CompareBlock */

const ROW_ABOUT_PX = 46, NEAR_PX = 900, FOLD_OVER_ROWS = 24;

export class CompareList {
  /** @param {import("./compare_store.js").CompareStore} store @param {() => void} moved called when another row is current */
  constructor(store, moved) {
    this.store = store;
    this.moved = moved;
    this.el = h("div", { class: "al-c-rows", role: "rowgroup" });
    this.folded = store.runs.marks.length > FOLD_OVER_ROWS;
    /** @type {Set<number>} */
    this.opened = new Set();
    this.current = -1;
    /** @type {CompareBlock[]} */
    this.blocks = [];
    /** @type {Map<HTMLElement, CompareBlock>} */
    this.boxes = new Map();
    this.watcher = new IntersectionObserver((seen) => this.saw(seen), { root: this.el, rootMargin: `${NEAR_PX}px 0px` });
    this.el.addEventListener("click", (event) => this.clicked(event));
    this.draw();
  }

  /** Draw all anew. */
  draw() {
    this.watcher.disconnect();
    this.boxes.clear();
    this.blocks = compareBlocks(this.store.runs.marks, this.folded, this.opened, this.store.runs.page_size);
    put(this.el, ...this.blocks.map((block) => (block.gap ? this.gap(block) : this.box(block))));
    if (!this.blocks.length) put(this.el, h("p", { class: "al-c-wait" }, "Neither run holds anything."));
    for (const box of this.boxes.keys()) this.watcher.observe(box);
  }

  /** @param {boolean} folded */
  fold(folded) {
    this.folded = folded;
    this.opened.clear();
    this.draw();
    if (this.current >= 0) this.go(this.current, "nearest");
  }

  /** Draw again what has come. @param {number[]} rows */
  came(rows) {
    for (const [box, block] of this.boxes)
      if (rows.some((row) => row >= block.from && row < block.to)) this.fill(box, block);
  }

  /** @param {1 | -1} direction */
  toDifference(direction) {
    const row = nextDifference(this.store.runs.marks, this.current, direction);
    if (row !== null) this.go(row);
    return row;
  }

  /** @param {1 | -1} direction */
  step(direction) {
    this.go(rowBeside(this.blocks, this.current, direction), "nearest");
  }

  /** Show a row and mark it. @param {number} row @param {ScrollLogicalPosition} [where] */
  go(row, where = "start") {
    const hidden = this.blocks.find((block) => block.gap && block.from <= row && row < block.to);
    if (hidden) this.open(hidden);
    this.current = row;
    for (const [box, block] of this.boxes)
      if (block.from <= row && row < block.to) {
        this.fill(box, block);
        this.mark(box, where);
      }
    this.moved();
  }

  destroy() {
    this.watcher.disconnect();
  }

  /** @private @param {HTMLElement} box @param {ScrollLogicalPosition} where */
  mark(box, where) {
    for (const old of this.el.querySelectorAll(".al-c-current")) old.classList.remove("al-c-current");
    const row = /** @type {HTMLElement | null} */ (box.querySelector(`[data-row="${this.current}"]`));
    row?.classList.add("al-c-current");
    if (!row) return;
    const top = row.getBoundingClientRect().top - this.el.getBoundingClientRect().top, bottom = top + row.offsetHeight;
    // only the list scrolls: the notebook stays where it is
    if (where === "start") this.el.scrollTop += top - Math.min(48, this.el.clientHeight / 4);
    else if (top < 0) this.el.scrollTop += top - 8;
    else if (bottom > this.el.clientHeight) this.el.scrollTop += Math.min(top - 8, bottom - this.el.clientHeight + 8);
    if (this.el.contains(document.activeElement)) row.focus({ preventScroll: true });
  }

  /** @private @param {MouseEvent} event */
  clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const row = /** @type {HTMLElement | null} */ (target.closest("[data-row]"));
    if (!row || target.closest("button")) return;
    for (const old of this.el.querySelectorAll(".al-c-current")) old.classList.remove("al-c-current");
    row.classList.add("al-c-current");
    this.current = Number(row.dataset.row);
    this.moved();
  }

  /** @private @param {CompareBlock} block */
  gap(block) {
    const size = block.to - block.from;
    return button(`${size.toLocaleString("en")} same rows · show`, () => this.open(block), { class: "al-c-gap" });
  }

  /** @private @param {CompareBlock} block */
  open(block) {
    this.opened.add(block.from);
    const before = this.el.scrollTop;
    this.draw();
    this.el.scrollTop = before;
  }

  /** @private @param {CompareBlock} block */
  box(block) {
    const box = h("div", { class: "al-c-block", role: "presentation" });
    this.boxes.set(box, block);
    if (this.store.row(block.from) && block.to - block.from <= 60 && this.boxes.size < 3) this.fill(box, block);
    else box.style.minHeight = `${ROW_ABOUT_PX * (block.to - block.from)}px`;
    return box;
  }

  /** @private @param {IntersectionObserverEntry[]} seen */
  saw(seen) {
    for (const { target, isIntersecting } of seen) {
      const block = this.boxes.get(/** @type {HTMLElement} */ (target));
      if (isIntersecting && block) this.fill(/** @type {HTMLElement} */ (target), block);
    }
  }

  /** @private @param {HTMLElement} box @param {CompareBlock} block */
  fill(box, block) {
    const { store } = this;
    if (!store.row(block.from)) {
      store.want(block.from, block.to);
      return;
    }
    const rows = [];
    for (let number = block.from; number < block.to; number++) {
      const row = store.row(number);
      if (row) rows.push(compareRow(row, number, number === store.runs.first, () => store.wantWhole(number)));
    }
    const focused = box.contains(document.activeElement);
    put(box, ...rows);
    box.style.minHeight = "";
    const current = /** @type {HTMLElement | null} */ (box.querySelector(`[data-row="${this.current}"]`));
    current?.classList.add("al-c-current");
    if (focused) current?.focus({ preventScroll: true });
    this.watcher.unobserve(box);
  }
}
