// @ts-check
// The runs of a lab. Python sorts, filters and pages; here the page is drawn and asked for.
import { button, h, isTyping, put, readJson } from "./parts/dom.js";
import { GONE_WORDS, kernelLine } from "./parts/kernel_line.js";
import { hearThoughLate } from "./parts/late_model.js";
import { rowByKey, runHead, runRow, shownOf, sortedNext } from "./parts/run_table.js";

/** @typedef {import("./parts/run_table.js").RunRow} RunRow */
/** @typedef {import("./parts/run_table.js").RunQuery} RunQuery */
/** @typedef {"status" | "agent" | "model"} RunChoice */
/** @typedef {[string, string, number | null]} ChoiceOption value, label, count */
/**
 * @typedef {object} LabState
 * @property {string} title
 * @property {RunRow[]} rows
 * @property {number} first
 * @property {number} n_found
 * @property {number} page
 * @property {number} n_pages
 * @property {RunQuery} query
 * @property {Record<RunChoice, ChoiceOption[]>} choices
 * @property {string[]} ticked
 * @property {string[]} opened
 * @property {string} note
 * @property {boolean} goes_on
 */

const TYPING_MS = 250, LOOK_MS = 2000;
const CHOICE_LABELS = /** @type {[RunChoice, string][]} */ ([["status", "Status"], ["agent", "Agent"], ["model", "Model"]]);

class LabPane {
  /** @param {HTMLElement} root @param {any} model */
  constructor(root, model) {
    this.root = root;
    this.model = model;
    this.send = kernelLine(model, () => this.gone());
    /** @type {LabState} */
    this.state = readJson(model.get("snapshot"));
    /** @type {string | null} */
    this.current = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.typing = undefined;
    this.asking = false;
    this.acts = {
      sort: (/** @type {any} */ column) => this.ask(sortedNext(this.state.query, column)),
      open: (/** @type {string} */ id) => this.open(id),
      tick: (/** @type {string} */ id, /** @type {boolean} */ on) => this.send({ type: "tick", id, on }),
      tag: (/** @type {string} */ tag) => this.ask({ tag }),
    };
    this.said = h("span", { class: "al-l-said", role: "status" });
    this.title = h("span", { class: "al-muted" });
    this.head = h("thead", { role: "rowgroup" });
    this.body = h("tbody", { role: "rowgroup" });
    this.table = h("table", { role: "grid", "aria-label": "Runs", "aria-multiselectable": "false" }, this.head, this.body);
    this.texts = { text: this.textField("text", "Search", "Id, question, agent or model (/)"), tag: this.textField("tag", "Tag", "name=value") };
    this.selects = Object.fromEntries(CHOICE_LABELS.map(([name, label]) => [name, this.select(name, label)]));
    this.back = button("←", () => this.ask({}, this.state.page - 1), { "aria-label": "Page before", title: "Page before ([)" });
    this.next = button("→", () => this.ask({}, this.state.page + 1), { "aria-label": "Next page", title: "Next page (])" });
    this.compareButton = button("Compare", () => this.send({ type: "compare" }), { class: "al-primary", title: "Two ticked runs side by side (c)" });
    this.closeButton = button("Close", () => this.send({ type: "close" }), { title: "Close what is open below (Escape)" });
    this.build();
    this.hears = (/** @type {any} */ content, /** @type {any[]} */ buffers) => this.heard(content?.type, readJson(buffers?.[0]));
    this.renews = () => this.renew(readJson(model.get("snapshot")));
    model.on("msg:custom", this.hears);
    model.on("change:snapshot", this.renews);
    root.addEventListener("keydown", (event) => this.pressed(event));
    this.timer = setInterval(() => this.look(), LOOK_MS);
    this.draw();
  }

  destroy() {
    clearInterval(this.timer);
    clearTimeout(this.typing);
    this.model.off("msg:custom", this.hears);
    this.model.off("change:snapshot", this.renews);
  }

  /** @private */
  build() {
    const refresh = button("Refresh", () => this.refresh(), { title: "Read the lab again (r)" });
    const clear = button("Clear", () => this.ask({ status: "", agent: "", model: "", tag: "", text: "", sort: null, descending: false }), { class: "al-quiet", title: "All runs, those that wait first" });
    put(
      this.root,
      h("div", { class: "al-head" }, h("div", { class: "al-title" }, h("strong", { class: "al-agent" }, "Runs"), this.title)),
      h("div", { class: "al-l-filters", role: "search", "aria-label": "Filter runs" },
        ...Object.values(this.selects).map(({ field }) => field), this.texts.tag.field, this.texts.text.field, clear),
      h("div", { class: "al-l-scroll" }, this.table),
      h("div", { class: "al-l-bar", role: "toolbar", "aria-label": "Runs" }, this.said, this.compareButton, this.closeButton, this.back, this.next, refresh),
    );
  }

  /** @private @param {"text" | "tag"} name @param {string} label @param {string} hint */
  textField(name, label, hint) {
    const input = h("input", { type: "search", placeholder: hint, spellcheck: "false", on: { input: () => this.typed(name), search: () => this.typed(name) } });
    return { input, field: h("label", { class: `al-l-field al-l-${name}field` }, h("span", { class: "al-who" }, label), input) };
  }

  /** @private @param {RunChoice} name @param {string} label */
  select(name, label) {
    const input = h("select", { on: { change: () => this.ask({ [name]: input.value }) } });
    return { input, field: h("label", { class: "al-l-field" }, h("span", { class: "al-who" }, label), input) };
  }

  /** @private @param {"text" | "tag"} name */
  typed(name) {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      const value = this.texts[name].input.value;
      if (value !== (this.state.query[name] ?? "")) this.ask({ [name]: value });
    }, TYPING_MS);
  }

  /** Ask for runs: what is not named stays as it is. @private @param {Partial<Record<keyof RunQuery, any>>} change @param {number} [page] */
  ask(change, page = 0) {
    if (page < 0 || page >= Math.max(1, this.state.n_pages)) return;
    this.send({ type: "ask", query: { ...this.state.query, ...change }, page });
  }

  /** @private */
  refresh() {
    this.asking = true;
    this.send({ type: "refresh" });
  }

  /** While runs go on, what became of them is looked at, one question at a time. @private */
  look() {
    if (this.state.goes_on && !this.asking && document.visibilityState === "visible" && this.root.isConnected) this.refresh();
  }

  /** @private @param {string} id */
  open(id) {
    this.current = id;
    if (this.send({ type: "open", id })) put(this.said, "Opening …");
  }

  /** @private */
  gone() {
    clearInterval(this.timer);
    put(this.said, GONE_WORDS);
    this.said.classList.add("al-fail");
  }

  /** @private @param {string} type @param {any} fields */
  heard(type, fields) {
    if (type === "same") this.asking = false;
    if (type === "problem") put(this.said, fields.text);
    if (type === "snapshot") this.renew(fields);
  }

  /** @private @param {LabState} fields */
  renew(fields) {
    const opens = fields.opened.join() !== this.state.opened.join() && fields.opened.length > 0;
    this.asking = false;
    this.state = fields;
    this.draw();
    if (opens) requestAnimationFrame(() => this.closeButton.scrollIntoView({ block: "nearest" }));
  }

  /** @private */
  draw() {
    const { state } = this, focused = /** @type {HTMLElement | null} */ (document.activeElement);
    const [had, sorted] = [this.body.contains(focused), focused?.dataset?.sort];
    if (!state.rows.some((row) => row.id === this.current)) this.current = state.rows[0]?.id ?? null;
    put(this.title, state.title);
    put(this.head, runHead(state.query, this.acts));
    put(this.body, ...state.rows.map((row, n) => runRow(row, state.first + n, { ...state, current: this.current }, this.acts)));
    this.table.setAttribute("aria-rowcount", String(state.n_found + 1));
    put(this.said, state.note || this.words());
    this.said.classList.toggle("al-fail", !!state.note);
    for (const [name] of CHOICE_LABELS) labChoices(this.selects[name].input, state.choices[name], state.query[name] ?? "");
    for (const name of /** @type {("text" | "tag")[]} */ (["text", "tag"]))
      if (document.activeElement !== this.texts[name].input) this.texts[name].input.value = state.query[name] ?? "";
    this.back.disabled = state.page === 0;
    this.next.disabled = state.page >= state.n_pages - 1;
    this.compareButton.disabled = state.ticked.length !== 2;
    this.closeButton.hidden = !state.opened.length;
    if (had) this.rowOf(this.current)?.focus({ preventScroll: true });
    if (sorted) /** @type {HTMLElement | null} */ (this.head.querySelector(`[data-sort="${sorted}"]`))?.focus();
  }

  /** @private */
  words() {
    const { state } = this, ticked = state.ticked.length;
    const runs = shownOf(state.first, state.rows.length, state.n_found);
    return ticked ? `${runs} · ${ticked} of 2 ticked` : runs;
  }

  /** @private @param {string | null} id @returns {HTMLElement | undefined} */
  rowOf(id) {
    return /** @type {HTMLElement[]} */ ([...this.body.children]).find((row) => row.dataset.run === id);
  }

  /** @private @param {number} at */
  goTo(at) {
    this.current = this.state.rows[at].id;
    for (const row of /** @type {HTMLElement[]} */ ([...this.body.children])) row.tabIndex = row.dataset.run === this.current ? 0 : -1;
    const row = this.rowOf(this.current);
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  }

  /** @private @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target), box = target.matches("[data-tick]");
    if (isTyping(target) && !box) {
      if (event.key === "Escape" && target !== this.root) this.keep(event, () => (this.rowOf(this.current) ?? this.root).focus());
      return;
    }
    const onRow = this.body.contains(target), to = rowByKey(event.key, this.state.rows.findIndex((row) => row.id === (onRow ? this.current : null)), this.state.rows.length);
    const id = /** @type {HTMLElement | null} */ (target.closest("[data-run]"))?.dataset.run;
    const row = id !== undefined && target.dataset.run === id;
    const act = /** @type {Record<string, (() => void) | false>} */ ({
      "/": () => this.texts.text.input.focus(),
      r: () => this.refresh(),
      c: () => this.state.ticked.length === 2 && this.send({ type: "compare" }),
      "[": () => this.ask({}, this.state.page - 1),
      "]": () => this.ask({}, this.state.page + 1),
      Escape: this.state.opened.length > 0 && (() => this.send({ type: "close" })),
      Enter: row && (() => this.open(/** @type {string} */ (id))),
      " ": row && (() => this.acts.tick(/** @type {string} */ (id), !this.state.ticked.includes(/** @type {string} */ (id)))),
    })[event.key];
    if (act) this.keep(event, act);
    else if (to !== null && (onRow || target === this.root)) this.keep(event, () => this.goTo(to));
  }

  /** @private @param {KeyboardEvent} event @param {() => void} act */
  keep(event, act) {
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

/** @param {HTMLSelectElement} select @param {ChoiceOption[]} options @param {string} chosen */
function labChoices(select, options, chosen) {
  const shown = options.some(([value]) => value === chosen) || !chosen ? options : [.../** @type {ChoiceOption[]} */ ([[chosen, chosen, 0]]), ...options];
  put(select, h("option", { value: "" }, "all"), ...shown.map(([value, label, count]) => h("option", { value }, count === null ? label : `${label} (${count.toLocaleString("en")})`)));
  select.value = chosen;
}

export default () => ({
  /** @param {{ model: any }} props */
  initialize({ model }) {
    void hearThoughLate(model);
  },
  /** @param {{ model: any, el: HTMLElement }} props */
  render({ model, el }) {
    const root = h("div", {
      class: "agentlab-trace agentlab-widget agentlab-lab", tabindex: "0", role: "group", "aria-label": "The runs of a lab",
      "aria-keyshortcuts": "/ r c j k [ ]", "data-lm-suppress-shortcuts": "true",
    });
    el.append(root);
    const pane = new LabPane(root, model);
    return () => pane.destroy();
  },
});
