// @ts-check
// The calls of a run that wait for a person: the first one open, the others in a queue below.
import { answerPanel } from "./parts/answer_panel.js";
import { approvalKey, approvalPart } from "./parts/approval.js";
import { approveAllPanel, stillWaiting } from "./parts/approve_all.js";
import { button, h, isTyping, put, readJson } from "./parts/dom.js";
import { goneWords, kernelLine } from "./parts/kernel_line.js";
import { hearThoughLate } from "./parts/late_model.js";
import { LostLetters } from "./parts/settling.js";

/** @typedef {import("./parts/approval.js").Ask} Ask */
/** @typedef {import("./parts/approval.js").Decide} Decide */
/** @typedef {import("./parts/approval.js").ApprovalPart} ApprovalPart */
/** @typedef {{ run_id: string, asks: Ask[], done: { tool: string, call_id: string, words: string }[], note: string }} CardState */

const PING_EVERY_MS = 1000;
/** A part that moved less than this is where the hand expects it. */
const CARD_MOVED_PX = 4;
let cardIds = 0;

/**
 * Which call stands open: the one chosen, as long as it waits, else the first.
 * @param {{ call_id: string }[]} asks
 * @param {string | null} chosen
 */
export function openCall(asks, chosen) {
  return asks.some((ask) => ask.call_id === chosen) ? chosen : (asks[0]?.call_id ?? null);
}

/** @param {{ model: import("@anywidget/types").AnyModel<{ snapshot: DataView }>, el: HTMLElement }} props */
function renderCard({ model, el }) {
  const id = `al-card-${++cardIds}`;
  const title = h("strong", {});
  const note = h("span", { class: "al-muted" });
  const all = h("span", { class: "al-card-all" });
  const denyPlace = h("div", { class: "al-card-deny" });
  const asksPlace = h("div", { class: "al-card-asks" });
  const donePlace = h("div", { class: "al-card-done" });
  const status = h("div", { class: "al-sr", role: "status" });
  const root = h("div", { class: "agentlab-trace agentlab-widget agentlab-approval_card", tabindex: 0, role: "group", "aria-label": "tool calls that wait for a decision", "aria-keyshortcuts": "a d e", "data-lm-suppress-shortcuts": "true" },
    h("div", { class: "al-card-head" }, title, note, h("span", { class: "al-space" }), all), denyPlace, asksPlace, donePlace, status);
  /** @type {Map<string, ApprovalPart>} */
  const parts = new Map();
  /** @type {Map<string, HTMLElement>} */
  const rows = new Map();
  /** @type {string | null} */
  let chosen = null;
  /** @type {CardState} */
  let state = { run_id: "", asks: [], done: [], note: "" };
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let pinging;

  const current = () => parts.get(openCall(state.asks, chosen) ?? "");
  const lostLetters = new LostLetters();
  /** What is said once the kernel is gone; empty before. */
  let gone = "";
  const line = kernelLine(model, () => {
    gone = goneWords(state.run_id);
    clearInterval(pinging);
    for (const part of parts.values()) part.lost(gone);
    put(note, gone);
    put(status, gone);
    put(all);
    put(denyPlace);
  });
  const send = (/** @type {Decide} */ decision) => void line(decision);
  /** @param {{ el: HTMLElement, focus: () => void }} panel */
  const openAll = (panel) => (put(denyPlace, panel.el), panel.focus());
  const denyAll = button("Deny all…", () => {
    const shown = state.asks;
    const close = () => (put(denyPlace), denyAll.focus());
    const panel = answerPanel({ id, label: `Why are these ${shown.length} calls denied? The model reads this; it may stay empty.`, go: "Deny all", quick: true }, (text) => {
      put(denyPlace);
      for (const { call_id, call_hash } of stillWaiting(shown, state.asks)) send({ type: "decide", call_id, call_hash, action: "deny", ...(text && { reason: text }) });
    }, close);
    panel.el.addEventListener("keydown", (event) => event.key === "Escape" && (event.stopPropagation(), event.preventDefault(), close()));
    openAll(panel);
  });
  const approveAll = button("Approve all…", () => {
    const shown = state.asks;
    openAll(approveAllPanel(shown, 0, () => {
      put(denyPlace);
      root.focus({ preventScroll: true });
      for (const ask of stillWaiting(shown, state.asks)) parts.get(ask.call_id)?.approve();
    }, () => (put(denyPlace), approveAll.focus())));
  });

  function draw() {
    const held = /** @type {Document | ShadowRoot} */ (root.getRootNode()).activeElement;
    const hadFocus = root.contains(held) && held !== root;
    const before = openCall(state.asks, chosen);
    const top = current()?.el.getBoundingClientRect().top ?? 0;
    state = /** @type {CardState} */ (readJson(model.get("snapshot")));
    const ids = new Set(state.asks.map((ask) => ask.call_id));
    for (const [call_id, part] of parts) {
      if (ids.has(call_id)) continue;
      part.destroy();
      parts.delete(call_id);
    }
    for (const ask of state.asks) {
      const part = parts.get(ask.call_id);
      if (part) part.update(ask);
      else parts.set(ask.call_id, approvalPart(ask, send));
    }
    drawAsks();
    const n = state.asks.length;
    put(title, n ? `${n} ${n === 1 ? "call waits" : "calls wait"} for your decision` : "no call waits");
    put(note, state.note);
    put(all, n > 1 && approveAll, " ", n > 1 && denyAll);
    if (n < 2) put(denyPlace);
    put(donePlace, state.done.length > 0 && h("ul", {}, ...state.done.map(({ tool, words }) => h("li", {}, h("code", {}, tool), ` ${words}`))));
    put(status, title.textContent);
    if (held && hadFocus && isTyping(held) && !held.isConnected) {
      lostLetters.begin(); // the words go on, and none of them is a command
      root.focus({ preventScroll: true });
      put(status, "what you wrote to was decided elsewhere; your words were not sent");
    } else if (hadFocus && (!held?.isConnected || openCall(state.asks, chosen) !== before)) (current() ?? { focusFirst: () => root.focus() }).focusFirst();
    const now = current();
    if (now && (openCall(state.asks, chosen) !== before || Math.abs(now.el.getBoundingClientRect().top - top) > CARD_MOVED_PX)) now.settle();
    clearInterval(pinging);
    if (n && !gone) pinging = setInterval(() => line({ type: "ping" }), PING_EVERY_MS);
  }
  /** Rows stay where they are: who types in one is not disturbed when another goes. */
  function drawAsks() {
    const open = openCall(state.asks, chosen);
    for (const call_id of [...rows.keys()].filter((call_id) => !parts.has(call_id))) {
      rows.get(call_id)?.remove();
      rows.delete(call_id);
    }
    for (const ask of state.asks) {
      const row = rows.get(ask.call_id) ?? h("div", { class: "al-card-ask" });
      if (!rows.has(ask.call_id)) asksPlace.append(row);
      rows.set(ask.call_id, row);
      const part = /** @type {ApprovalPart} */ (parts.get(ask.call_id)).el;
      if (ask.call_id !== open) put(row, waitingLine(ask));
      else if (row.firstChild !== part) put(row, part);
    }
  }
  /** @param {Ask} ask */
  function waitingLine(ask) {
    const look = () => {
      chosen = ask.call_id;
      drawAsks();
      current()?.settle();
      current()?.focusFirst();
    };
    const words = [h("code", {}, ask.tool), h("span", {}, ask.arguments_json.replace(/\s+/g, " ").slice(0, 200)), h("small", {}, ask.queue.join(" of "))];
    return h("button", { type: "button", class: "al-card-waits", title: "look at this call", on: { click: look } }, ...words);
  }
  /** @param {{ type: string }} content @param {DataView[]} buffers */
  function hear(content, buffers) {
    const fields = readJson(buffers[0]);
    if (content.type === "decided") parts.get(fields.call_id)?.problem(fields.error);
    if (content.type === "decided" && fields.error) put(status, fields.error);
    if (content.type === "problem") put(note, fields.text);
  }
  root.addEventListener("keydown", (event) => lostLetters.takes(event) || approvalKey(event, current()));
  root.addEventListener("pointerdown", () => lostLetters.end(), true);
  model.on("change:snapshot", draw);
  model.on("msg:custom", hear);
  draw();
  put(el, root);
  if (state.asks.length) line({ type: "ping" });
  return () => {
    clearInterval(pinging);
    for (const part of parts.values()) part.destroy();
  };
}

export default () => ({ initialize: (/** @type {{ model: any }} */ { model }) => void hearThoughLate(model), render: renderCard });
