// @ts-check
// The time of a run at a glance: a bin a step, as wide as it took, parted by who took it.

import { button, h, put } from "./dom.js";

/** @typedef {import("./trace_state.js").Bin} Bin */
/** @typedef {import("./trace_state.js").Strip} Strip */

/** The kinds of time, in the order in which they are drawn. */
const TIME_KINDS = ["model", "tool", "human"];

/** Model, tool and human time of a bin [s]; what is not known is nothing to draw. @param {Bin} bin */
function timesOf([, , , ...times]) {
  return times.slice(0, 3).map((time) => (Number.isFinite(time) && time > 0 ? time : 0));
}

/**
 * How wide the bins are, together 1,000 however short the run: by the time they took, all alike where none took any.
 * @param {readonly Bin[]} bins
 * @returns {number[]}
 */
export function binWidths(bins) {
  const times = bins.map((bin) => timesOf(bin).reduce((a, b) => a + b));
  const sum = times.reduce((a, b) => a + b, 0);
  return times.map((time) => 1000 * (sum ? time / sum : 1 / bins.length));
}

/**
 * Shares of a bin, one each of model, tool and human time; all zero where nothing took time.
 * @param {Bin} bin
 * @returns {number[]}
 */
export function timeShares(bin) {
  const parts = timesOf(bin);
  const sum = parts[0] + parts[1] + parts[2];
  return parts.map((part) => (sum ? part / sum : 0));
}

/**
 * The bin that a row stands in: the last that begins at or before it; -1 before the first.
 * @param {readonly Bin[]} bins
 * @param {number} row
 */
export function binOfRow(bins, row) {
  let low = 0;
  let high = bins.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bins[middle][0] <= row) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class TimeStrip {
  /** @param {(row: number) => void} goTo */
  constructor(goTo) {
    this.goTo = goTo;
    /** @type {Bin[]} */
    this.bins = [];
    this.drawn = "";
    this.here = -1;
    this.tip = h("div", { class: "al-tip", hidden: true, "aria-hidden": "true" });
    this.bars = h("div", {
      class: "al-bins", role: "group", "aria-label": "Time by step; arrow keys move, Enter goes there",
      on: {
        keydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
        pointerover: (/** @type {Event} */ event) => this.showTip(event),
        focusin: (/** @type {Event} */ event) => this.showTip(event),
        pointerleave: () => this.hideTip(),
        focusout: () => this.hideTip(),
      },
    });
    const key = TIME_KINDS.map((kind) => h("span", {}, h("i", { class: `al-time-${kind}` }), kind));
    this.el = h("div", { class: "al-strip" }, this.bars, h("div", { class: "al-stripkey" }, ...key), this.tip);
  }

  /** @param {Strip} strip */
  update(strip) {
    const text = JSON.stringify(strip.bins);
    if (text === this.drawn) return;
    const focused = this.children().indexOf(/** @type {HTMLElement} */ (activeIn(this.bars)));
    this.drawn = text;
    this.bins = strip.bins;
    const widths = binWidths(strip.bins);
    put(this.bars, ...strip.bins.map((bin, place) => this.bar(bin, widths[place])));
    this.el.hidden = !strip.bins.length;
    this.bars.classList.toggle("al-many", strip.bins.length > 120);
    const here = this.here;
    this.here = -1;
    this.mark(here);
    if (focused >= 0) this.children()[Math.min(focused, strip.bins.length - 1)]?.focus();
  }

  /**
   * Show where the reader is.
   * @param {number} row
   */
  at(row) {
    this.mark(binOfRow(this.bins, row));
  }

  /** @private @param {number} place */
  mark(place) {
    if (place === this.here) return;
    const bars = this.children();
    bars[this.here]?.removeAttribute("aria-current");
    bars[this.here]?.setAttribute("tabindex", "-1");
    this.here = place;
    bars[place]?.setAttribute("aria-current", "true");
    for (const bar of bars) bar.setAttribute("tabindex", "-1");
    bars[Math.max(0, place)]?.setAttribute("tabindex", "0");
  }

  /** @private */
  children() {
    return /** @type {HTMLElement[]} */ ([...this.bars.children]);
  }

  /** @private @param {Bin} bin @param {number} width */
  bar(bin, width) {
    const [row, , label, , , , failed] = bin;
    const bar = button("", () => this.goTo(row), { class: `al-bin${failed ? " al-failed" : ""}`, tabindex: "-1", "aria-label": label });
    bar.style.flexGrow = String(width);
    timeShares(bin).forEach((share, i) => {
      if (!share) return;
      const part = h("i", { class: `al-time-${TIME_KINDS[i]}` });
      part.style.flexGrow = String(share);
      bar.append(part);
    });
    return bar;
  }

  /** @private @param {KeyboardEvent} event */
  key(event) {
    const bars = this.children();
    const at = bars.indexOf(/** @type {HTMLElement} */ (event.target));
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    bars[Math.max(0, Math.min(bars.length - 1, to))]?.focus();
  }

  /** @private @param {Event} event */
  showTip(event) {
    const bar = /** @type {Element} */ (event.target).closest(".al-bin");
    if (!bar) return this.hideTip();
    put(this.tip, bar.getAttribute("aria-label") ?? "");
    this.tip.hidden = false;
    const box = this.el.getBoundingClientRect();
    const at = bar.getBoundingClientRect();
    const left = at.left + at.width / 2 - box.left - this.tip.offsetWidth / 2;
    this.tip.style.left = `${Math.max(8, Math.min(box.width - this.tip.offsetWidth - 8, left))}px`;
    this.tip.style.top = `${at.bottom - box.top + 4}px`;
  }

  /** @private */
  hideTip() {
    this.tip.hidden = true;
  }
}

/** What holds the focus, as the tree that an element is in sees it. @param {HTMLElement} element */
export function activeIn(element) {
  return /** @type {Document | ShadowRoot} */ (element.getRootNode()).activeElement ?? null;
}
