// @ts-check
// The table of a lab's runs: heads that sort, rows to open, boxes to tick.
import { h } from "./dom.js";

/** @typedef {{ id: string, run: string, whole_id: string, status: string, tone: string, started: string, agent: string, model: string, asked: string, tags: [string, string][], steps: string }} RunRow */
/** @typedef {"status" | "started" | "agent" | "model" | "asked" | "tags" | "steps" | "run"} RunColumn */
/** @typedef {{ status: string | null, agent: string | null, model: string | null, tag: string | null, text: string | null, sort: RunColumn | null, descending: boolean }} RunQuery */
/** @typedef {{ sort: (column: RunColumn) => void, open: (id: string) => void, tick: (id: string, on: boolean) => void, tag: (tag: string) => void }} RunActs */

const RUN_COLUMNS = /** @type {[RunColumn, string][]} */ ([
  ["status", "Status"], ["started", "Started (UTC)"], ["agent", "Agent"], ["model", "Model"], ["asked", "Asked"], ["tags", "Tags"], ["steps", "Steps"], ["run", "Run"],
]);
const RUN_MARKS = /** @type {Record<string, string>} */ ({ good: "✓", warn: "!", bad: "✗" });

/**
 * How a table is sorted after a press on a head: first from the end where people look first, then the other way, then as
 * at the beginning.
 * @param {RunQuery} query
 * @param {RunColumn} column
 * @returns {{ sort: RunColumn | null, descending: boolean }}
 */
export function sortedNext(query, column) {
  const first = column === "started" || column === "steps";
  if (query.sort !== column) return { sort: column, descending: first };
  return query.descending === first ? { sort: column, descending: !first } : { sort: null, descending: false };
}

/** The row to go to by a key; null: the key moves nothing. @param {string} key @param {number} at @param {number} count */
export function rowByKey(key, at, count) {
  const to = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: count - 1 })[key];
  return to === undefined || !count ? null : Math.min(count - 1, Math.max(0, to));
}

/** What is shown of how many. @param {number} first @param {number} shown @param {number} found */
export function shownOf(first, shown, found) {
  const number = (/** @type {number} */ n) => n.toLocaleString("en");
  if (!found) return "No run fits";
  if (shown === found) return found === 1 ? "1 run" : `${number(found)} runs`;
  return `${number(first + 1)} to ${number(first + shown)} of ${number(found)} runs`;
}

/** @param {RunQuery} query @param {RunActs} acts */
export function runHead(query, acts) {
  const heads = RUN_COLUMNS.map(([column, label]) => {
    const on = query.sort === column;
    const arrow = on ? (query.descending ? "↓" : "↑") : "";
    const sort = h("button", { type: "button", class: "al-quiet", data: { sort: column }, on: { click: () => acts.sort(column) } }, label, h("span", { class: "al-l-arrow", "aria-hidden": "true" }, arrow));
    return h("th", { scope: "col", role: "columnheader", class: `al-l-${column}`, "aria-sort": on ? (query.descending ? "descending" : "ascending") : "none" }, sort);
  });
  return h("tr", { role: "row" }, h("th", { scope: "col", role: "columnheader", class: "al-l-tick" }, h("span", { class: "al-sr" }, "Compare")), ...heads);
}

/**
 * @param {RunRow} row
 * @param {number} number of the row in the table, from 0
 * @param {{ ticked: string[], opened: string[], current: string | null }} marks
 * @param {RunActs} acts
 */
export function runRow(row, number, marks, acts) {
  const opened = marks.opened.includes(row.id), letter = marks.ticked.indexOf(row.id);
  const box = h("input", {
    type: "checkbox", tabindex: "-1", checked: letter >= 0, "aria-label": `Compare run ${row.run}`, data: { tick: row.id },
    on: { change: (/** @type {Event} */ event) => acts.tick(row.id, /** @type {HTMLInputElement} */ (event.target).checked) },
  });
  const tags = row.tags.map(([label, tag]) => h("button", { type: "button", tabindex: "-1", class: "al-l-tag", title: "Only runs with this tag", on: { click: () => acts.tag(tag) } }, h("bdi", {}, label)));
  const cell = (/** @type {string} */ column, /** @type {any[]} */ ...children) => h("td", { role: "gridcell", class: `al-l-${column}` }, ...children);
  return h(
    "tr",
    {
      role: "row", "aria-rowindex": number + 2, "aria-selected": String(opened), tabindex: row.id === marks.current ? "0" : "-1",
      class: `${opened ? "al-l-open" : ""}${letter >= 0 ? " al-l-ticked" : ""}`, data: { run: row.id },
      on: { click: (/** @type {MouseEvent} */ event) => void (/** @type {Element} */ (event.target).closest("button, input") || acts.open(row.id)) },
    },
    cell("tick", box),
    cell("status", h("span", { class: `al-badge al-${row.tone || "plain"}` }, `${RUN_MARKS[row.tone] ?? "…"} ${row.status}`)),
    cell("started", row.started),
    cell("agent", h("bdi", {}, row.agent)),
    cell("model", h("bdi", {}, row.model)),
    cell("asked", h("bdi", { title: row.asked }, row.asked)),
    cell("tags", ...tags),
    cell("steps", row.steps),
    cell("run", h("code", { title: row.whole_id }, row.run)),
  );
}
