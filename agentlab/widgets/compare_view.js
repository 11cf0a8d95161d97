// @ts-check
// Two runs side by side. What differs was found by Python; here it is drawn, folded and gone to.
import { button, h, isTyping, put } from "./parts/dom.js";
import { CompareList } from "./parts/compare_list.js";
import { comparePre } from "./parts/compare_row.js";
import { whichDifference } from "./parts/compare_rows.js";
import { CompareStore } from "./parts/compare_store.js";
import { hearThoughLate } from "./parts/late_model.js";

const COMPARE_TONES = /** @type {Record<string, string>} */ ({ good: "✓", warn: "!", bad: "✗" });

class ComparePane {
  /** @param {HTMLElement} root @param {CompareStore} store */
  constructor(root, store) {
    this.root = root;
    this.store = store;
    this.said = h("span", { class: "al-c-status", role: "status" });
    this.foldButton = button("Only differences", () => this.fold(), { title: "Hide rows that are the same (e)" });
    /** @type {CompareList | null} */
    this.list = null;
    this.stop = store.listen((rows, problem) => this.heard(rows, problem));
    root.addEventListener("keydown", (event) => this.pressed(event));
    this.draw();
  }

  draw() {
    const { runs } = this.store;
    this.list?.destroy();
    this.list = new CompareList(this.store, () => this.tell());
    const first = button("First difference", () => this.first(), { title: "Go to the first difference (f)", disabled: runs.first === null });
    const none = runs.first === null;
    put(
      this.root,
      h("div", { class: "al-head" }, h("div", { class: "al-title" }, h("strong", { class: "al-agent" }, "Two runs compared"), h("span", { class: "al-muted" }, runs.words))),
      h("div", { class: "al-c-heads al-c-pair" }, ...runs.heads.map((head, n) => compareHead(head, "AB".charAt(n)))),
      compareSettings(runs.settings),
      h(
        "div", { class: "al-c-bar", role: "toolbar", "aria-label": "Differences" },
        this.said, first,
        button("↑", () => this.list?.toDifference(-1), { title: "Difference before (p)", "aria-label": "Difference before", disabled: none }),
        button("↓", () => this.list?.toDifference(1), { title: "Next difference (n)", "aria-label": "Next difference", disabled: none }),
        this.foldButton,
      ),
      h("div", { role: "table", "aria-label": "Both runs, row beside row", "aria-colcount": "2", "aria-rowcount": runs.marks.length + 1 },
        h("div", { class: "al-sr", role: "rowgroup" }, h("div", { role: "row" }, h("span", { role: "columnheader" }, "Run A"), h("span", { role: "columnheader" }, "Run B"))),
        this.list.el),
      compareTotals(runs.totals),
    );
    this.foldButton.setAttribute("aria-pressed", String(this.list.folded));
    this.tell();
  }

  destroy() {
    this.stop();
    this.list?.destroy();
  }

  /** @private @param {number[] | null} rows @param {string} [problem] */
  heard(rows, problem) {
    if (rows === null) this.draw();
    else this.list?.came(rows);
    if (problem) put(this.said, problem);
  }

  /** @private */
  tell() {
    const { runs } = this.store, { count, at } = whichDifference(runs.marks, this.list?.current ?? -1);
    const place = at ? `Place ${at} of ${count} that differ` : `${count} ${count === 1 ? "place differs" : "places differ"}`;
    put(this.said, count ? place : "No difference");
  }

  /** @private */
  first() {
    if (this.store.runs.first !== null) this.list?.go(this.store.runs.first);
  }

  /** @private */
  fold() {
    this.list?.fold(!this.list.folded);
    this.foldButton.setAttribute("aria-pressed", String(this.list?.folded));
  }

  /** @private @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const act = /** @type {Record<string, () => void>} */ ({
      f: () => this.first(),
      n: () => this.list?.toDifference(1),
      p: () => this.list?.toDifference(-1),
      e: () => this.fold(),
      j: () => this.list?.step(1),
      k: () => this.list?.step(-1),
      ArrowDown: () => this.list?.step(1),
      ArrowUp: () => this.list?.step(-1),
    })[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

/** @param {import("./parts/compare_store.js").CompareHead} head @param {string} letter */
function compareHead(head, letter) {
  return h(
    "div", {},
    h("div", { class: "al-c-run" },
      h("strong", { class: "al-c-letter" }, letter), h("strong", {}, h("bdi", {}, head.title)), h("small", {}, h("bdi", {}, head.model)),
      h("strong", { class: `al-badge${head.tone ? ` al-${head.tone}` : ""}` }, `${COMPARE_TONES[head.tone] ?? "…"} ${head.status}`)),
    h("small", {}, h("bdi", {}, head.note)),
  );
}

/** @param {import("./parts/compare_store.js").CompareSetting[]} settings */
function compareSettings(settings) {
  if (!settings.length) return h("p", { class: "al-c-note al-muted" }, "The same settings.");
  const cell = (/** @type {any} */ spans, /** @type {number} */ more) =>
    spans === null ? h("td", { class: "al-muted" }, "not set") : h("td", {}, comparePre(spans, more, null));
  const rows = settings.flatMap((each) => [
    h("tr", {}, h("th", { scope: "rowgroup", colspan: "2" }, h("bdi", {}, each.name))),
    h("tr", {}, cell(each.l, each.l_more), cell(each.r, each.r_more)),
  ]);
  return h("div", { class: "al-c-part" }, h("strong", { class: "al-who" }, "Settings that differ"), h("table", { class: "al-c-settings" }, h("tbody", {}, ...rows)));
}

/** @param {[string, string, string, string, boolean][]} totals */
function compareTotals(totals) {
  const head = h("tr", {}, h("td"), ...["A", "B", "B − A"].map((name) => h("th", { scope: "col" }, name)));
  const rows = totals.map(([name, left, right, by, same]) =>
    h("tr", { class: same ? null : "al-c-changed" }, h("th", { scope: "row" }, name), h("td", {}, left), h("td", {}, right), h("td", {}, by)));
  return h("div", { class: "al-c-part al-c-end" }, h("strong", { class: "al-who" }, "Totals"), h("table", { class: "al-c-totals" }, h("thead", {}, head), h("tbody", {}, ...rows)));
}

export default () => {
  /** @type {CompareStore | undefined} one for all views of the model */
  let store;
  return {
    /** @param {{ model: any }} props */
    initialize({ model }) {
      void hearThoughLate(model);
      store = new CompareStore(model);
    },
    /** @param {{ model: any, el: HTMLElement }} props */
    render({ model, el }) {
      store ??= new CompareStore(model);
      const root = h("div", {
        class: "agentlab-trace agentlab-widget agentlab-compare", tabindex: "0", role: "group", "aria-label": "Two runs compared",
        "aria-keyshortcuts": "f n p e j k", "data-lm-suppress-shortcuts": "true",
      });
      const pane = new ComparePane(root, store);
      el.append(root);
      return () => pane.destroy();
    },
  };
};
