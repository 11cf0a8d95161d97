// @ts-check
// How each kind of row looks: the classes are those of the static trace.

import { button, h, put } from "./dom.js";
import { MANY_CHARS, matchPieces } from "./trace_rows.js";

/** @typedef {import("./trace_state.js").Row} Row */
/** @typedef {import("./trace_state.js").TextField} TextField */
/** @typedef {import("./trace_state.js").Fact} Fact */
/**
 * @typedef {object} RowTools
 * @property {boolean} open
 * @property {string} query
 * @property {() => void} toggle
 * @property {[name: string, times: number][]} stepTools
 * @property {(field: TextField) => HTMLElement | null} more
 * @property {HTMLElement} actions
 * @property {(field: TextField, box: HTMLElement, followed: boolean) => void} grow
 */

/** @type {Record<string, [tone: string, mark: string]>} */
const CALL_MARKS = {
  success: ["al-good", "✓"],
  error: ["al-bad", "✗"],
  running: ["", "…"],
  waiting: ["al-warn", "…"],
  unanswered: ["al-warn", "?"],
};
const SHORT_CHARS = 160;
const PREVIEW_CHARS = 240;
const NAMED_TOOLS = 6;

/** @param {Row} row @param {RowTools} tools */
export function drawStep(row, tools) {
  const named = tools.stepTools.slice(0, NAMED_TOOLS).map(([name, times]) => h("span", {}, nameCode(name), times > 1 && h("small", {}, ` × ${times}`)));
  if (tools.stepTools.length > NAMED_TOOLS) named.push(h("small", {}, `+ ${tools.stepTools.length - NAMED_TOOLS}`));
  return h(
    "div", { class: "al-stephead", on: { click: unlessSelecting(tools.toggle) } },
    foldButton(tools, h("strong", {}, row.title ?? "")),
    ...named,
    row.status === "error" && h("span", { class: "al-fail" }, `✗ ${row.error ?? "failed"}`),
    row.note && h("small", {}, row.note),
    tools.actions,
    factsOf(row.facts, "al-nums"),
  );
}

/** @param {Row} row @param {RowTools} tools */
export function drawSaid(row, tools) {
  const agent = row.k === "a";
  return h(
    "div", { class: `al-said ${agent ? "al-agentsaid" : "al-usersaid"}` },
    h(
      "div", { class: "al-line" },
      h("strong", { class: "al-who" }, row.label ?? (agent ? "agent" : "user")),
      row.note && h("small", {}, row.note), tools.actions, factsOf(row.facts, "al-nums"),
    ),
    textBox("blockquote", "", row, "text", tools),
    tools.more("text"),
  );
}

/** Reasoning and what the model was told: one line, or behind its label. @param {Row} row @param {RowTools} tools */
export function drawFolded(row, tools) {
  const label = row.label ?? (row.k === "r" ? "reasoning" : "told to the model");
  const text = row.text ?? "";
  const who = h("span", { class: "al-who" }, label);
  const facts = factsOf(row.facts, "al-nums");
  if (!row.live && row.k !== "r" && !row.text_more && isShort(text)) {
    return h(
      "div", { class: "al-line al-next" },
      who, h("bdi", { class: "al-short" }, ...marked(text, tools.query)), row.note && h("small", {}, row.note), tools.actions, facts,
    );
  }
  if (!text && !row.live) return h("div", { class: "al-line al-next" }, who, row.note && h("small", {}, row.note), tools.actions, facts);
  const size = h("small", { class: "al-size" }, `${(text.length + (row.text_more ?? 0)).toLocaleString("en-US")} characters`);
  const preview = h("span", { class: "al-preview", dir: "auto" }, ...marked(firstLine(text), tools.query));
  return h(
    "div", { class: `al-folded al-folded-${row.k === "r" ? "r" : "t"}` },
    h(
      "div", { class: "al-line" },
      foldButton(tools, who), !tools.open && preview, row.note && h("small", {}, row.note), tools.actions,
      row.live ? null : size, facts,
    ),
    tools.open && textBox("pre", `al-long${row.k === "r" ? " al-prose" : ""}`, row, "text", tools),
    tools.open && tools.more("text"),
  );
}

/** @param {Row} row @param {RowTools} tools */
export function drawCall(row, tools) {
  const [tone, mark] = CALL_MARKS[row.status ?? ""] ?? ["", ""];
  const failed = row.status === "error";
  const verdict = failed ? (row.error ?? "failed") : (row.status ?? "");
  const table = tools.open && !row.ask && ioTable(row, tools, failed ? "error" : "returned"); // who is asked sees a form
  return h(
    "div", { class: `al-call ${tone}` },
    h(
      "div", { class: "al-callhead" },
      foldButton(tools, h("code", {}, h("bdi", {}, ...marked(row.title ?? "", tools.query)))),
      !tools.open && h("code", { class: "al-preview" }, ...marked(firstLine(row.args ?? ""), tools.query)),
      factsOf(row.facts, "al-callfacts"),
      row.note && h("small", {}, row.note),
      row.heartbeat && h("small", {}, "asks for a heartbeat"),
      tools.actions,
      verdict && h("strong", { class: `al-badge ${tone}` }, `${mark} `, h("bdi", {}, verdict)),
    ),
    table,
  );
}

/** @param {Row} row @param {RowTools} tools */
export function drawDecision(row, tools) {
  const label = row.label ?? "";
  const mark = label.startsWith("stop") ? "■" : "↻";
  return h(
    "div", { class: "al-line al-next" },
    h("strong", {}, `${mark} ${label}`),
    row.note && h("small", {}, `(${row.note})`),
    row.text && h("bdi", { class: "al-short al-muted" }, ...marked(row.text, tools.query)),
    tools.more("text"), tools.actions, factsOf(row.facts, "al-nums"),
  );
}

/** @param {Row} row @param {RowTools} tools */
export function drawError(row, tools) {
  return h(
    "div", { class: "al-error" },
    h(
      "div", { class: "al-line" },
      h("strong", { class: "al-fail" }, "✗ ", ...marked(row.error ?? "error", tools.query)),
      row.label && nameCode(row.label),
      row.note && h("small", {}, row.note), tools.actions, factsOf(row.facts, "al-nums"),
    ),
    row.text && textBox("div", "al-errortext", row, "text", tools),
    tools.more("text"),
  );
}

/** @param {Row} row @param {RowTools} tools @param {string} returned */
function ioTable(row, tools, returned) {
  /** @type {[string, TextField][]} */
  const fields = [["arguments", "args"], [returned, "ret"]];
  const rows = fields.filter(([, field]) => row[field] !== undefined || (field === "args" && row.live)).map(([label, field]) =>
    h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, textBox("pre", "", row, field, tools), tools.more(field))),
  );
  if (row.text) rows.unshift(h("tr", {}, h("th", { scope: "row" }, row.label ?? "text"), h("td", {}, textBox("pre", "", row, "text", tools), tools.more("text"))));
  if (row.approval) {
    const at = row.args === undefined ? 0 : 1;
    rows.splice(at, 0, h("tr", {}, h("th", { scope: "row" }, "approval"), h("td", {}, ...marked(row.approval, tools.query))));
  }
  return rows.length > 0 && h("table", { class: "al-io", role: "presentation" }, h("tbody", {}, ...rows));
}

/** @param {"pre" | "blockquote" | "div"} tag @param {string} look @param {Row} row @param {TextField} field @param {RowTools} tools */
function textBox(tag, look, row, field, tools) {
  const text = row[field] ?? "";
  const grows = !!row.live && field !== "ret";
  if (!grows && text.length <= MANY_CHARS) return h(tag, { class: look || null, dir: "auto" }, ...marked(text, tools.query));
  const box = h(tag, { class: `${look} ${grows ? "al-growing" : "al-many"}`, ...(grows ? {} : { tabindex: "0" }) });
  tools.grow(field, box, grows);
  return box;
}

/** @param {RowTools} tools @param {HTMLElement} label */
function foldButton(tools, label) {
  const fold = button("", tools.toggle, { class: "al-chev", "aria-expanded": String(tools.open), tabindex: "-1", "data-hold": "fold" });
  put(fold, label);
  return fold;
}

/** @param {Fact[] | undefined} facts @param {string} look */
function factsOf(facts, look) {
  if (!facts?.length) return null;
  return h("span", { class: look }, ...facts.map(([label, value, tooltip]) => {
    const kind = { tokens: "al-tokens", TTFT: "al-first" }[label];
    const named = label && label !== "took";
    const said = [named ? "" : label, tooltip ?? ""].filter(Boolean).join(": ");
    return h("span", { class: kind, title: said || null }, named && h("span", { class: "al-factname" }, `${label} `), value);
  }));
}

/** @param {string} name */
function nameCode(name) {
  return h("code", {}, h("bdi", {}, name));
}

/** @param {string} text @param {string} query @returns {(string | HTMLElement)[]} */
function marked(text, query) {
  return matchPieces(text, query).map((piece, i) => (i % 2 ? h("mark", {}, piece) : piece));
}

/** @param {string} text */
function isShort(text) {
  return text.length <= SHORT_CHARS && !text.includes("\n");
}

/** @param {string} text */
export function firstLine(text) {
  return text.slice(0, PREVIEW_CHARS).replace(/\s+/g, " ").trim();
}

/** A click that does not end a selection, and is on no button. @param {() => void} act */
function unlessSelecting(act) {
  return (/** @type {MouseEvent} */ event) => {
    const target = /** @type {Element} */ (event.target);
    if (!target.closest("button") && !document.getSelection()?.toString()) act();
  };
}
