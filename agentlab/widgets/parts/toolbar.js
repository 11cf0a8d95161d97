// @ts-check
// The bar over a trace: search, filters, folding, copying.

import { button, h, put } from "./dom.js";
import { ROW_KINDS } from "./trace_rows.js";

/**
 * @typedef {object} ToolbarHost
 * @property {(query: string) => void} search after a pause in typing
 * @property {(direction: 1 | -1) => void} next
 * @property {() => void} filter
 * @property {() => void} fold
 * @property {() => void} copy
 * @property {() => void} help
 * @property {() => void} leave Escape in the search field
 */

const SEARCH_PAUSE_MS = 200;

export class Toolbar {
  /** @param {ToolbarHost} host */
  constructor(host) {
    this.host = host;
    this.timer = 0;
    this.query = "";
    this.field = h("input", {
      type: "search", class: "al-query", placeholder: "Search", "aria-label": "Search the trace", "aria-keyshortcuts": "/",
      autocomplete: "off", spellcheck: "false",
      on: { input: () => this.typed(), keydown: (/** @type {KeyboardEvent} */ event) => this.key(event) },
    });
    this.count = h("span", { class: "al-count" });
    const step = { class: "al-quiet al-icon" };
    this.steps = h(
      "span", { class: "al-steps" }, this.count,
      button("↑", () => host.next(-1), { ...step, "aria-label": "Previous match", title: "Previous match (Shift+Enter)" }),
      button("↓", () => host.next(1), { ...step, "aria-label": "Next match", title: "Next match (Enter)" }),
    );
    this.kinds = h("select", { "aria-label": "Show rows of one kind", on: { change: () => this.filtered() } });
    this.tools = h("select", { "aria-label": "Show calls of one tool", on: { change: () => this.filtered() } });
    this.folding = button("Fold all", host.fold, { class: "al-quiet", "aria-keyshortcuts": "f", title: "Fold or unfold all steps (f)" });
    this.el = h(
      "div", { class: "al-toolbar", role: "toolbar", "aria-label": "Trace" },
      h("span", { class: "al-find" }, this.field, this.steps), this.kinds, this.tools,
      h(
        "span", { class: "al-acting" }, this.folding,
        button("Copy JSON", host.copy, { class: "al-quiet", title: "Copy the whole trace as JSON" }),
        button("?", host.help, { class: "al-quiet al-icon", "aria-label": "Keys", title: "Keys (?)", "aria-keyshortcuts": "?" }),
      ),
    );
    this.drawn = "";
    this.found(null, -1, false);
  }

  /**
   * Offer what there is to filter by.
   * @param {string} kinds
   * @param {readonly string[]} tools
   */
  update(kinds, tools) {
    const present = [...ROW_KINDS].filter(([letter]) => kinds.includes(letter));
    const now = JSON.stringify([present.map(([letter]) => letter), tools]);
    if (now === this.drawn) return;
    this.drawn = now;
    fillSelect(this.kinds, "All rows", present.map(([letter, { name }]) => [letter, name]));
    fillSelect(this.tools, "All tools", tools.map((name, place) => [String(place), name]));
    this.tools.hidden = !tools.length;
  }

  /** What is filtered by. */
  filter() {
    return { kind: this.kinds.value || null, tool: this.tools.value ? Number(this.tools.value) : null };
  }

  showAll() {
    this.kinds.value = this.tools.value = "";
    this.filtered(false);
  }

  /** @param {boolean} folded */
  folded(folded) {
    put(this.folding, folded ? "Unfold all" : "Fold all");
  }

  /**
   * Say how many were found, and which of them is shown.
   * @param {number | null} count null: nothing is searched for
   * @param {number} place from 0; below it: none
   * @param {boolean} more
   */
  found(count, place, more) {
    this.steps.hidden = count === null;
    const of = `${(count ?? 0).toLocaleString("en-US")}${more ? "+" : ""}`;
    put(this.count, count === 0 ? "none" : place >= 0 ? `${(place + 1).toLocaleString("en-US")} of ${of}` : of);
  }

  focusSearch() {
    this.field.focus();
    this.field.select();
  }

  destroy() {
    clearTimeout(this.timer);
  }

  /** @private */
  typed() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.search(), this.field.value ? SEARCH_PAUSE_MS : 0);
  }

  /** @private True if there was something new to search for. */
  search() {
    clearTimeout(this.timer);
    if (this.field.value === this.query) return false;
    this.query = this.field.value;
    this.host.search(this.query);
    return true;
  }

  /** @private @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Enter") {
      if (!this.search()) this.host.next(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      this.field.value = "";
      this.search();
      this.host.leave();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @private @param {boolean} [tell] */
  filtered(tell = true) {
    for (const select of [this.kinds, this.tools]) select.classList.toggle("al-set", !!select.value);
    if (tell) this.host.filter();
  }
}

/** @param {HTMLSelectElement} select @param {string} all @param {[value: string, label: string][]} choices */
function fillSelect(select, all, choices) {
  const chosen = select.value;
  put(select, h("option", { value: "" }, all), ...choices.map(([value, label]) => h("option", { value }, label)));
  select.value = choices.some(([value]) => value === chosen) ? chosen : "";
}
