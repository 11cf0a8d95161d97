// @ts-check
// One row of a trace in the page. It is drawn anew only when what it shows has changed; what a person is asked stands
// in a slot of its own, which drawing leaves alone.

import { button, h, put } from "./dom.js";
import { GrowingText } from "./growing_text.js";
import { drawCall, drawDecision, drawError, drawFolded, drawSaid, drawStep } from "./trace_row_kinds.js";

/** @typedef {import("./trace_state.js").Row} Row */
/** @typedef {import("./trace_state.js").TextField} TextField */
/**
 * @typedef {object} RowHost what a row needs of its view
 * @property {(number: number, row: Row) => boolean} isOpen
 * @property {(number: number) => void} toggle
 * @property {(number: number) => boolean} isFolded for the head of a step
 * @property {(number: number) => [name: string, times: number][]} stepTools
 * @property {(number: number, field: TextField) => void} askWhole
 * @property {(number: number) => void} copy
 * @property {(step: number) => void} raw
 * @property {(ask: any) => { el: HTMLElement }} approval
 * @property {() => string} query what is searched for
 */

const ROW_NAMES = new Map([
  ["S", "step"], ["u", "user"], ["a", "agent"], ["r", "reasoning"], ["t", "told to the model"],
  ["c", "tool call"], ["d", "goes on or stops"], ["e", "error"],
]);

export class RowView {
  /** @param {RowHost} host */
  constructor(host) {
    this.host = host;
    this.body = h("div", { class: "al-rowbody" });
    this.el = h("article", { class: "al-row", tabindex: "-1" }, this.body);
    this.number = -1;
    this.kind = "";
    /** @type {Row | undefined} */
    this.row = undefined;
    this.drawn = "";
    this.open = false;
    this.marked = false;
    /** @type {Map<TextField, GrowingText>} texts that grow */
    this.growing = new Map();
    /** @type {HTMLElement | null} */
    this.slot = null;
  }

  /**
   * Show this row; without one, that it is on its way.
   * @param {number} number
   * @param {string} kind
   * @param {Row | undefined} row
   */
  update(number, kind, row) {
    this.number = number;
    const look = row ? this.look(row) : "";
    if (row === this.row && look === this.drawn && kind === this.kind) return;
    if (row && this.grow(row, look)) return;
    const held = focusIn(this.body);
    this.kind = kind;
    this.row = row;
    this.drawn = look;
    this.growing.clear();
    this.el.className = `al-row al-row-${kind}${this.marked ? " al-marked" : ""}`;
    this.el.setAttribute("aria-label", row ? nameOf(kind, row) : "on its way");
    this.el.setAttribute("aria-busy", String(!row));
    if (row) this.fill(row);
    else put(this.body, h("span", { class: "al-waitrow", "aria-hidden": "true" }));
    this.fillSlot(row);
    if (held !== null) this.giveFocus(held);
  }

  /**
   * A text has grown.
   * @param {TextField} field
   * @returns {boolean} false: the row has to be drawn
   */
  grown(field) {
    const text = this.row?.[field] ?? "";
    const shown = this.growing.get(field);
    if (shown) shown.set(text);
    else if (this.open || text.length < 400) this.drawn = "out of date";
    return this.drawn !== "out of date";
  }

  /** Is this the row where the reader is? Then its buttons are reached by Tab. @param {boolean} marked */
  mark(marked) {
    if (this.el.classList.toggle("al-marked", marked) === this.marked) return;
    this.marked = marked;
    for (const act of this.body.querySelectorAll(".al-acts button")) /** @type {HTMLElement} */ (act).tabIndex = marked ? 0 : -1;
  }

  /** What has just come into the page shows its end. */
  entered() {
    for (const text of this.growing.values()) text.toEnd();
  }

  /** @private @param {Row} row */
  look(row) {
    const { host, number } = this;
    if (row.k === "S") return `${host.isFolded(number)} ${host.isFolded(number) ? host.stepTools(number).join() : ""}`;
    return `${host.isOpen(number, row)} ${row.live ? "" : host.query()}`;
  }

  /** @private A row that only grew is not drawn anew. @param {Row} row @param {string} look */
  grow(row, look) {
    const old = this.row;
    if (!old?.live || !row.live || !this.growing.size || look !== this.drawn || old.id !== row.id) return false;
    const rest = { ...row, text: "", args: "" };
    if (JSON.stringify(rest) !== JSON.stringify({ ...old, text: "", args: "" })) return false;
    for (const field of /** @type {TextField[]} */ (["text", "args"])) {
      if (row[field] && !this.growing.has(field)) return false;
    }
    for (const [field, text] of this.growing) text.set(row[field] ?? "");
    this.row = row;
    return true;
  }

  /** @private @param {Row} row */
  fill(row) {
    const { host, number } = this;
    const open = row.k === "S" ? !host.isFolded(number) : host.isOpen(number, row);
    this.open = open;
    const tools = {
      open,
      query: row.live ? "" : host.query(),
      toggle: () => host.toggle(this.number),
      stepTools: row.k === "S" && !open ? host.stepTools(number) : [],
      more: (/** @type {TextField} */ field) => this.more(row, field),
      actions: this.actions(row),
      /** @param {TextField} field @param {HTMLElement} box @param {boolean} followed */
      grow: (field, box, followed) => {
        const text = new GrowingText(box, followed);
        if (followed) this.growing.set(field, text);
        text.set(row[field] ?? "");
      },
    };
    const draw = { S: drawStep, u: drawSaid, a: drawSaid, c: drawCall, d: drawDecision, e: drawError }[row.k] ?? drawFolded;
    put(this.body, draw(row, tools));
    this.entered();
  }

  /** @private @param {Row | undefined} row */
  fillSlot(row) {
    const part = row?.ask ? this.host.approval(row.ask).el : null;
    if (!part) {
      const held = this.slot && focusIn(this.slot) !== null;
      this.slot?.remove();
      this.slot = null;
      if (held) this.el.focus({ preventScroll: true }); // who has answered goes on from here
      return;
    }
    if (!this.slot) {
      this.slot = h("div", { class: "al-rowask" });
      this.el.append(this.slot);
    }
    if (this.slot.firstElementChild !== part) put(this.slot, part);
  }

  /** @private @param {Row} row */
  actions(row) {
    const acts = h("span", { class: "al-acts" });
    const attributes = { class: "al-quiet", tabindex: this.marked ? "0" : "-1" };
    if (row.k === "S" && row.step) {
      const step = row.step;
      acts.append(button("Request", () => this.host.raw(step), { ...attributes, "data-hold": "raw", title: "Exact request of this step (r)" }));
    }
    acts.append(button("Copy", () => this.host.copy(this.number), { ...attributes, "data-hold": "copy", title: "Copy this row as JSON (c)" }));
    return acts;
  }

  /** @private @param {Row} row @param {TextField} field */
  more(row, field) {
    const left = row[`${field}_more`];
    if (!left || row.live) return null;
    const label = `Show all (${left.toLocaleString("en-US")} more characters)`;
    const press = () => this.host.askWhole(this.number, field);
    return button(label, press, { class: "al-quiet al-all", "data-hold": field });
  }

  /** @private @param {string} held */
  giveFocus(held) {
    const again = [...this.body.querySelectorAll("[data-hold]")].find((el) => el.getAttribute("data-hold") === held);
    /** @type {HTMLElement} */ (again ?? this.el).focus({ preventScroll: true });
  }
}

/** What holds the focus in an element, by its name there; null if nothing does. @param {HTMLElement} element */
function focusIn(element) {
  const root = /** @type {Document | ShadowRoot} */ (element.getRootNode());
  const active = root.activeElement;
  return active && element.contains(active) ? (active.getAttribute("data-hold") ?? "") : null;
}

/** @param {string} kind @param {Row} row */
function nameOf(kind, row) {
  const name = kind === "S" ? row.title : kind === "c" ? `tool call ${row.title ?? ""}` : (row.label ?? ROW_NAMES.get(kind));
  return [name, row.error ?? row.status].filter(Boolean).join(", ");
}
